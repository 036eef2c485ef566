"""Pure words and arithmetic of a multi-tenant Bedrock product.

Owns: what a tenant, plan, price, limit, usage, ledger line and invoice are, and how they compute.
Does not own: time, randomness, files, sockets, databases. Standard library only.
Invariants: money is exact; the same input gives the same output, on any machine, for ten years.
"""
