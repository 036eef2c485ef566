"""The command line: `tenantry …`.

Owns: words typed by people, and what is printed back. Does not own: any decision.
Exit status: 0 done, 1 refused or failed with one clear line on stderr, 2 wrong usage.
"""
