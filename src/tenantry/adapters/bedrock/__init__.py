"""Amazon Bedrock's runtime behind `ports.model`.

Owns: credentials, signing, connections, time limits, and the reading of answers and streams.
Does not own: retries, metering, what a tenant may do.
Invariants: one call makes exactly one attempt; no redirect is followed, no proxy is taken from
the environment; every body and stream is bounded; credentials are never printable.
"""
