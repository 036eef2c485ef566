"""The composition root: the only package that knows every adapter.

Owns: which implementation stands behind each port, for each kind of process. Each module brings
along what it opens, so that a command starts without the adapters of others.
Does not own: any logic.
"""
