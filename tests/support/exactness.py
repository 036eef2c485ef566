"""Decimals that round without a word end a test."""

from __future__ import annotations

import decimal


def trap_rounding() -> None:
    """In this thread, and in those that begin later. A context of one's own may still round."""
    decimal.DefaultContext.traps[decimal.Inexact] = True
    decimal.setcontext(decimal.DefaultContext)
