"""One folder or module for each outside thing, each behind a port.

Adapters import neither the application nor each other.
"""
