"""Files and functions that fit into a head."""

from __future__ import annotations

import ast

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def long_file(text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{lines} lines"] if lines > FILE_LINES_MAX else []


def long_functions(text: str) -> list[str]:
    """Functions over the limit, counted from `def` to their last line."""
    found: list[str] = []
    if len(text.splitlines()) <= FUNCTION_LINES_MAX:
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"line {node.lineno}: {node.name} has {lines} lines")
    return found
