"""What ships as plain files: prices, models, their names on bills, plans, an invoice's layout, and
the demo's documents.

Owns: the figures and their sources. Does not own: reading them (`adapters/shipped.py`).
Invariants: each file names its source and date; a figure that is not known is absent, never zero.
"""
