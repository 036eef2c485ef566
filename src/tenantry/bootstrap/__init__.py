"""The composition root: the only package that knows every adapter.

Owns: which implementation stands behind each port, for each kind of process. Each module brings
along what it opens, so that a command starts without the adapters of others. What only it can say
lies here too: what is wrong with settings (`checks/`), what `doctor` finds (`doctor/`), and what
broke, in one line (`failures.py`).
Does not own: any rule of tenants, money or documents.
"""
