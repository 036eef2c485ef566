"""Webhooks by the Standard Webhooks specification 1.0.0, behind `ports.delivery.Sink`.

Owns: signing, sending, and which addresses a tenant's URL may lead to. Does not own: retries.
Invariants: TLS is verified; no redirect is followed, no proxy is taken from the environment; the
answer's body is never read; a tenant's URL is connected to at the very address that was checked.
"""
