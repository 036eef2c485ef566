"""Archived months of the ledger as files."""
