"""HTTP/1.1 on asyncio and httptools; HTTP/2 in `http2/`.

Owns: connections, framing, deadlines, back-pressure, TLS, listening sockets.
Does not own: routes, JSON, tenants.
Invariants: one request of an HTTP/1.1 connection at a time, answered in order; path and query are
kept as they were sent, because signatures are verified over them; every byte count and wait has a
limit.
"""
