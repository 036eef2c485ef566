"""The wire of Amazon Bedrock: HTTP, signatures, routes, event-stream frames, refusals.

Owns: bytes in and out, who is calling, pacing, faults on the wire, the order bill before answer.
Does not own: what is answered (engine), how bill and log are kept, what quotas and rules say.
Invariants: routing and signatures see the path as it was sent, never decoded; an invocation is
settled exactly once, before the last byte of its answer leaves.
"""
