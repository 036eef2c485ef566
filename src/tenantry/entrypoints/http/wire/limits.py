"""The limits of a connection."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.domain.upload import BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class WireLimits:
    body_bytes: int = BODY_BYTES_MAX
    discard_bytes: int = 100_000_000  # of an oversized body read and dropped, so that 413 is read
    held_bytes: int = 536_870_912  # of all large bodies in one worker; then some give way
    small_body_bytes: int = 65_536  # up to here a body is not among them, and nobody is asked
    # A chunk costs 0.5 µs whatever it holds. Clients that send JSON as it is encoded have one for
    # each token, comma and bracket, of 4 bytes or so. The free ones cost 33 ms, of several turns.
    chunks: int = 65_536
    chunk_bytes: int = 4  # on average, of the chunks beyond
    framing_bytes: int = 262_144  # of heads, chunks and trailers, beside a body's bytes
    target_bytes: int = 16_384  # path and query; an encoded ARN may take 6 KB
    header_bytes: int = 65_536
    header_count: int = 128
    head_s: float = 15.0  # from a request's first byte to the end of its headers
    body_s: float = 120.0  # from there to the end of its body, or while it is steadily sent
    body_most_s: float = 600.0  # so long: 25 MB at 42 KB a second
    idle_s: float = 75.0  # between requests; longer than the 60 s of a load balancer
    stall_s: float = 60.0  # who takes, or sends, less than `stall_bytes` in so long has gone
    stall_bytes: int = 16_384
    reader_bytes_per_s: int = 32_768  # at least, on average, of a large answer beyond `stall_s`
    unsent_bytes: int = 536_870_912  # of all large answers in one worker, then one is cut
    close_s: float = 5.0  # for the last bytes to leave
    streams: int = 100  # of an HTTP/2 connection at once, each until its work has ended
    # What HTTP/2 may cost beside requests and bodies. A frame is 1 and takes some 20 µs; requests,
    # bodies, frames that are sent and seconds give back. So many cost 0.2 s, of many turns.
    frames: int = 8_192
    window_bytes: int = 1_048_576  # of a body on its way to us; it is kept, or dropped, as it comes
    waiting: int = 64  # requests of a connection behind the one that is answered
    connections: int = 8_192  # of one listener's worker; more are cut
    requests: int = 2_048  # in flight in one worker; more are answered 503
    write_buffer_bytes: int = 262_144  # above it a stream waits for its reader
