"""From a checkpoint to the graphs that the service opens: trace, point into the weights, prove parity, measure.

`python -m export --help` is the way in; `export.store` is the way through, written once.
"""
