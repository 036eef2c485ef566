"""What a finished repository does not hold: notes to self, switched-off tests, one machine's paths.

The words are put together here so that this file does not break its own rule.
"""

from __future__ import annotations

import ast
import re

_NOTES = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "HA" + "CK", "X" * 3)) + r")\b")
_NOT_THERE = "NotImplementedError"
_HALF_BUILT = re.compile(r"NotImplementedError|except\s*:|\b(?:Base)?Exception\b")
_OFF = {"skip", "skipif", "xfail", "importorskip", "expectedFailure", "skipIf", "skipUnless"}
_NAMES_OFF = re.compile(rf"\.\s*(?:{'|'.join(_OFF)})\b")
_MACHINE = re.compile(
    r"(?<![\w.])/(?:work|root|home|Users)/[\w.-]+"  # a person's or a container's folder
    r"|(?<![\w/.-])\.{2}/shared\b|(?<!\w)\.librar[y]/"
    r"|https?://[^\s\"')>]*/simple\b|https?://(?:files\.python" + r"hosted|pypi)\.org"
    r"|--(?:extra-)?index-" + r"url|--find-" + r"links"
)
# Of a group, which Python before 3.11.5 misreads; of one character it is right.
_POSSESSIVE = re.compile(r"\)(?:[*+?]|\{+\d*,?\d*\}+)\+")
_LOCK_LINE = re.compile(r"://|^--|^-e|^\.|file:")
_PIN = re.compile(r"[A-Za-z0-9._-]+(?:\[[A-Za-z0-9,._-]+\])?==[^\s;]+(?: ; .+?)?(?: \\)?")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def _lines_with(pattern: re.Pattern[str], text: str) -> list[str]:
    """Of a pattern that matches within a line."""
    if not pattern.search(text):  # as of most files
        return []
    return [
        f"line {n}: {found[0]}"
        for n, line in enumerate(text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def notes(text: str) -> list[str]:
    """Notes to self, anywhere."""
    return _lines_with(_NOTES, text)


def possessive_groups(text: str) -> list[str]:
    """Groups of a pattern that are repeated possessively."""
    return _lines_with(_POSSESSIVE, text)


def raised_in_groups(text: str) -> list[str]:
    """What is raised within `except*`, to which some Pythons (3.11.2) give a group of its own."""
    found: list[str] = []
    if "except*" not in text:
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.TryStar):
            inner = (each for handler in node.handlers for each in ast.walk(handler))
            found += [f"line {each.lineno}" for each in inner if isinstance(each, ast.Raise)]
    return found


def unfinished(text: str) -> list[str]:
    """`raise NotImplementedError`, and handlers that swallow everything."""
    found: list[str] = []
    if not _HALF_BUILT.search(text):  # most files, which need no parsing then
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Raise) and _NOT_THERE in ast.dump(node):
            found.append(f"line {node.lineno}: not implemented")
        elif isinstance(node, ast.ExceptHandler) and _is_broad(node) and _is_empty(node.body):
            found.append(f"line {node.lineno}: swallows every exception")
    return found


def _is_broad(handler: ast.ExceptHandler) -> bool:
    named = handler.type
    return named is None or (
        isinstance(named, ast.Name) and named.id in ("Exception", "BaseException")
    )


def _is_empty(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )


def switched_off(text: str) -> list[str]:
    """Tests that are skipped or expected to fail."""
    if not _NAMES_OFF.search(text):
        return []
    return [
        f"line {node.lineno}: {node.attr}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and node.attr in _OFF
        and isinstance(node.value, ast.Name | ast.Attribute)
        and getattr(node.value, "attr", getattr(node.value, "id", ""))
        in ("mark", "pytest", "unittest")
    ]


def machine_paths(text: str) -> list[str]:
    """Folders of one machine, and addresses of package registries."""
    return _lines_with(_MACHINE, text)


def loose_lock(text: str) -> list[str]:
    """Lines of a lock that are no pinned name or hash, and names without a hash."""
    found = []
    hashed = True
    for n, line in enumerate(text.splitlines(), 1):
        if _HASH.fullmatch(line):
            hashed = True
            continue
        if not hashed:
            found.append(f"line {n - 1}: has no hash")
        hashed = False
        if _LOCK_LINE.search(line) or not _PIN.fullmatch(line):
            found.append(f"line {n}: {line[:60]}")
    return found if hashed else [*found, "the last name has no hash"]
