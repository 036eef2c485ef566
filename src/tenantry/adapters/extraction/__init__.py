"""From a file to text and chunks.

Owns: telling types apart, decoding, parsing, splitting, and the bounds of each.
Does not own: what becomes of the text.
Invariants: a declared type that the bytes contradict is refused; PDF and DOCX, which are parsed by
large libraries, are parsed in a process of their own with bounded time and memory and without any
environment; the same bytes always give the same text, because citations are ranges of it.
"""
