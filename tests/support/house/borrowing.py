"""What one module of tests takes from another."""

from __future__ import annotations

import ast
import re

_NAMED = re.compile(r"(?<!def )\btest_\w")  # otherwise than as a test of its own


def borrowed_tests(text: str) -> list[str]:
    """Imports of `test_…` modules of tests/, and of names in them, on any level."""
    found: list[str] = []
    if not _NAMED.search(text):
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * bool(node.level) + (node.module or "")
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [f"line {node.lineno}: {name}" for name in names if _is_of_a_test_module(name)]
    return found


def _is_of_a_test_module(name: str) -> bool:
    root, *below = name.split(".")
    return root in ("tests", "") and any(part.startswith("test_") for part in below)
