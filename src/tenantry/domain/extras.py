"""What to do where a library is missing that only some deployments need.

Invariant: no text here names Tenantry on a package index. It is not there, and whoever took the
name could run code on a machine that installs it.
"""

from __future__ import annotations

from typing import Final

HOW_TO: Final = "docs/how-to/run-in-production.md"


def extra_of(name: str) -> str:
    """To follow "needs": which extra, and how it is installed, from a checkout alone."""
    return f"the extra {name}: in a checkout of Tenantry, pip install '.[{name}]' ({HOW_TO})"
