"""Invoices as PDF, typeset by typst.

Owns: the compiler, its fonts, and what they can draw. Does not own: what an invoice says.
Invariants: text of a customer is data and never source; the same sheet and fonts give the same
bytes; nothing outside the package and the font folder is read.
"""
