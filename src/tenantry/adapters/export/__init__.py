"""Files that other programs read.

Owns: how rows become bytes. Does not own: what stands in them.
"""
