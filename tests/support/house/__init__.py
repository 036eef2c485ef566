"""The rules of the house as functions: a file's text in, its violations out.

Each rule is shown to fail on a planted violation beside the test that holds it.
"""
