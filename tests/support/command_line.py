"""What fixtures of the command line give to a test."""

from collections.abc import Callable

# Runs a command of these words in this process, and returns the exit status it ends with.
StatusOf = Callable[..., int]
