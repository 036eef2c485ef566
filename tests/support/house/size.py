"""Files and functions that fit into a head."""

from __future__ import annotations

import ast
import re

_DEF = re.compile(r"[ \t]*(?:async )?def ")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def long_file(text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{lines} lines"] if lines > FILE_LINES_MAX else []


def long_functions(text: str) -> list[str]:
    """Functions over the limit, counted from `def` to their last line."""
    found: list[str] = []
    if not _may_be_long(text.splitlines()):
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"line {node.lineno}: {node.name} has {lines} lines")
    return found


def _may_be_long(lines: list[str]) -> bool:
    """Whether any function goes on for so long before another begins beside or around it; most
    files are told by that without being parsed."""
    begun: list[tuple[int, int]] = []  # indentation and place of those that have not ended
    for place, line in enumerate([*lines, "def "]):
        if not _DEF.match(line):
            continue
        indent = len(line) - len(line.lstrip())
        while begun and begun[-1][0] >= indent:
            if place - begun.pop()[1] > FUNCTION_LINES_MAX:
                return True
        begun.append((indent, place))
    return False
