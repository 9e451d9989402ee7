"""Video files: read, enlarged frame by frame, written again with everything that came beside the pictures.

`film.py` is the way through. What touches the file itself, or FFmpeg, runs in a process of its own (`child/`), which
opens nothing else, has bounded memory, and dies with this one.
"""
