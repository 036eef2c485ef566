"""Keys: root KMS keys, tenant keys, and the control plane's own key.

They rest in folders of mode 0700; tenant keys also in a bucket, root keys also in AWS KMS.

Owns: making, wrapping, opening, caching and destroying key material.
Does not own: what is sealed with it (`adapters/sealed`), who may ask (row policies and routes).
Invariants: no key in clear on disk but root keys of the local keyring; wrapped tenant keys never
enter PostgreSQL, whose log and backups would outlive their destruction; a wrapped key opens only
for the tenant, key id and version that it was made for; every cache is bounded and zeroed.
"""
