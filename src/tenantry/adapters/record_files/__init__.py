"""`ports.record_files`: a folder or file of this machine, a bucket's prefix.

Owns: reaching and listing files. Does not own: what is in them.
"""
