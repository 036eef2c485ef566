"""What `doctor` looks at, a module each; nothing is written. `examine.py` puts it together.

Each answers in facts and in problems, a line each.
"""
