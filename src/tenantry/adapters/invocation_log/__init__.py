"""Reads the invocation log from where Bedrock delivers it.

Owns: listing and decoding files. Does not own: what a record means for the ledger.
Invariants: a file is bounded before it is unpacked; nothing is ever written or removed.
"""
