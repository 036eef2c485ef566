"""Objects on disk: one folder an account, one opaque folder a tenant, random names.

Owns: how bytes become durable files. Does not own: what the bytes mean; they are sealed before.
Invariants: a file is whole or absent, durable before its name is told, and readable by its owner
alone; every fsync passes `durable_file.py`, which counts it.
"""
