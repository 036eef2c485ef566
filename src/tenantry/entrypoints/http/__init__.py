"""The HTTP edge: what comes in as bytes becomes a call of a use case, and its answer bytes again.

Owns: connections, TLS, routes, who asks (steps 1, 2 and 8 of the request's way), the shapes of the
API families and of their refusals.
Does not own: limits, money, knowledge, models; nothing here decides what a tenant may spend.
Invariants: a tenant comes from the credentials alone; every refusal has the shape of the API that
was called; a client that hangs up never cancels work; no body, header or wait is unbounded.
"""
