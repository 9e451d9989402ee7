"""Benchmarks: quality through HTTP, and speed against the bare session in the same run."""
