"""Vector engines of others in place of sealed partitions.

Owns: what every engine is used in the same way for (`partitions.py`), and one module an engine.
Does not own: which passages are live (the manifest), keys and sealing (`ports/keys.py`).
Invariants: an engine is only ever reached through the room of one tenant, made from its home; it
holds vectors, opaque ids and the tenant's scope in clear and everything else sealed; nothing that
it returns is shown before it opened under this tenant's key and the manifest named it live.
"""
