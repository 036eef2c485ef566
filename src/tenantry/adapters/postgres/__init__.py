"""PostgreSQL: the one database engine from laptop to cluster.

Owns: the embedded cluster, the database roles, the migrations, the pools and the tenant's unit
of work. Does not own: what a table means (the domain) or when to write it (the application).

Invariants
- The application's role reaches tenant rows only inside a unit of work made for one tenant.
- No role that logs in is a superuser or passes row-level security.
- Nothing is admitted on a server that does not make commits durable.
"""
