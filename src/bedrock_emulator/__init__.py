"""A Bedrock for one machine: the real wire, real small models, real limits, its own bill.

Owns: the wire protocol of Amazon Bedrock's runtime, accounts with credentials and quotas, the
invocation log, a bill metered by itself, faults on demand.
Does not own: anything of Tenantry. The two packages share no code, because a shared mistake
would agree with itself.
Invariants: a call is billed exactly once, from what was generated rather than from what was read;
everything that a response reports stands in the log under the same request id.
"""
