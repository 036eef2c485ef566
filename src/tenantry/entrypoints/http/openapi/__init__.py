"""`/openapi.json`: what a port takes and answers, as OpenAPI 3.1.

Owns: the table of bodies and answers of each route, the schemas of answers, and how all of it is
put together.
Does not own: which routes there are (`routes`), what a body may hold (the structs and parsers of
the handlers, from which schemas of requests are derived).
Invariants: it is made once for each port; what a route answers is held against it by tests.
"""

from tenantry.entrypoints.http.openapi.made import document, routes_for

__all__ = ["document", "routes_for"]
