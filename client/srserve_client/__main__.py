"""`python -m srserve_client` is the command `srserve`."""

from srserve_client.cli import main

main()
