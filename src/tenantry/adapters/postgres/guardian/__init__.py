"""The process between Tenantry and its embedded PostgreSQL: starts it, watches it, ends it.

Owns: the postmaster's life, its log, the word on its state. Does not own: where a cluster lies,
whose it is, or what is in it (`..embedded`).

Invariants
- Only the standard library is imported, so that it starts quickly and stays small.
- PostgreSQL never outlives it, and it never outlives its Tenantry.
"""
