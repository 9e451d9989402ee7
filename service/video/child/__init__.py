"""The child processes: all that FFmpeg does is done here. `__main__.py` says what each is asked to do."""
