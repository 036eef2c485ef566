"""The operator's port: health, metrics, and the control plane.

Owns: the JSON of tenants, API keys, plans, models, placements, budgets, prices, contracts,
invoices, economics, alerts, audits and shreds.
Does not own: what they mean; never shows tenants' content.
"""
