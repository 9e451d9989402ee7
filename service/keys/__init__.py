"""Keys: who may ask, for what, and how much. Hashed in a file; made, listed and revoked by `python -m service.keys`."""

from service.keys.file import Grants, Key, KeyFileError, change_keys, read_keys
from service.keys.ring import KeyRing
from service.keys.secret import new_key

__all__ = ["Grants", "Key", "KeyFileError", "KeyRing", "change_keys", "new_key", "read_keys"]
