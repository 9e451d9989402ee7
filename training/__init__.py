"""Training: photographs in, checkpoints with provenance out. `python -m training recipes/edsr_x2.toml`."""
