"""Frames: a clip that comes as pictures one after the other, and leaves so. `stream.py` is the way through."""
