"""Benchmarks: measured figures, each by one command.

Owns: what `make bench-NAME` runs and the shape of its result. Does not own: any part of the
product; a benchmark starts the product's processes and looks at them from outside.
Invariants: everything starts in a folder of its own and is gone afterwards; the last line printed
is one JSON object (`benchmarks/result.py`).
"""
