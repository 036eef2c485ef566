"""HTTP/2 on h2, for clients that begin with it: in clear, or over TLS by ALPN.

Owns: streams and how they become requests, flow control both ways, deadlines of streams.
Does not own: limits, which are HTTP/1.1's, and everything above the wire.
Invariants: a stream that its client resets is a client that has left; an answer that was broken off
ends in RST_STREAM, never in END_STREAM.
"""
