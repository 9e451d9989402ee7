"""Published checkpoints of others become checkpoints of this project; one file per family."""

from export.importers.edsr import Imported, import_edsr
from export.importers.files import StateFile, read_state_file

__all__ = ["Imported", "StateFile", "import_edsr", "read_state_file"]
