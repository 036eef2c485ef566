"""Sealed knowledge: blobs and immutable segments, AES-256-GCM under keys of one tenant.

Owns: the cipher, the format, the cache of open segments, exact search, compaction.
Does not own: key material (`ports.keys`), where bytes rest (`ports.objects`), what is live
(`ports.manifest`).
Invariants: nothing in clear leaves this package but to the tenant it was sealed for; an object is
durable before the commit that names it; memory in clear is bounded and zeroed on eviction; what
does not authenticate is not used.
"""
