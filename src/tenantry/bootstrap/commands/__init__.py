"""Single pieces of work, for the command line and the demo.

A module each for what they bring along: a command loads no adapter that it does not use.
"""
