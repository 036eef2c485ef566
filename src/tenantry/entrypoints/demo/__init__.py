"""`tenantry demo`: three tenants of a SaaS product, on real parts, in one walk.

Owns: the stage (emulator, gateway), the cast (tenants, keys), the library (their documents) and the
acts. Does not own: anything that a product would call; the walk goes over HTTP like any client.
Invariant: every act checks what it shows; with `--check` a failed one ends the walk with status 1.
"""
