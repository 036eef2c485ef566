"""The catalogue: one file for each family of attacks."""
