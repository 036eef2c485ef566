"""What a tenant sees and, through its admins, sets of itself: usage, limits, invoices, budgets, API
keys.

Owns: their JSON. Invariant: the customer's book alone; never provider cost, markup or waste.
"""
