"""The HTTP process: bytes in, a larger picture out. Never imports torch, models, export or training."""
