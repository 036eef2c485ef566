"""What an operator writes beside a figure: a line of text that is kept and shown."""

from __future__ import annotations

from typing import Final

REMARK_CHARS_MAX: Final = 500


def check_remark(text: str, chars_max: int = REMARK_CHARS_MAX) -> None:
    """Raises `ValueError` for what cannot be shown on a line, or is longer than one may be."""
    if not text.isprintable():
        raise ValueError("must be a printable text")
    if len(text) > chars_max:
        raise ValueError(f"must have at most {chars_max} characters")


def check_reason(text: str, chars_max: int = REMARK_CHARS_MAX) -> None:
    """The same of a remark that must say something."""
    if not text.strip():
        raise ValueError("must be a printable text")
    check_remark(text, chars_max)
