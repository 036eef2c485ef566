"""What a tenant sees of itself: usage, limits, invoices.

Owns: their JSON. Invariant: the customer's book alone; never provider cost, markup or waste.
"""
