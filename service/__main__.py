"""`python -m service`: serve. `--help` lists the settings."""

import sys

from service.server import main

sys.exit(main(sys.argv[1:]))
