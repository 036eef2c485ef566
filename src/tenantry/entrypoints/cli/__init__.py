"""The command line: `tenantry …`.

Owns: words typed by people, and what is printed back. Does not own: any decision.
Exit status: 0 done, 1 refused, failed or found something with one clear line on stderr, 2 wrong
usage, 130 interrupted, 141 nobody reads what is printed any more.
"""
