"""Measurements beside what a user would write by hand; `python -m benchmarks` prints one table."""
