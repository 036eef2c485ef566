"""The Bedrock runtime's own wire.

Owns: what its requests may look like, and the tagging of its answers and frames.
Does not own: message blocks and inference parameters; Bedrock judges those, and its refusal is
passed on.
"""
