"""HTTP/2 on asyncio and h2.

Owns: streams and how they become requests, flow control both ways, what a client may cost that
sends frames in place of requests.
Does not own: routes, JSON, tenants; the limits, which are those of HTTP/1.1.
Invariants: a frame is bounded before h2 sees it; a stream counts until its task has ended and its
answer was taken; nothing is written for a client that does not read; nothing of one stream is seen
by another.
"""
