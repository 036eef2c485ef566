"""What documentation promises: links, files, commands, settings and words that exist."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import click

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//")
_PATH = re.compile(r"`((?:src|tests|tools|docs|benchmarks|locks|deploy)/[\w./-]*\w/?)`")
_PAGE = re.compile(r"[\w./-]*\w\.md\b")
_TARGET = re.compile(r"`make ([a-z-]+)")
_VARIABLE = re.compile(r"\bTENANTRY_[A-Z]+(?:_[A-Z]+)*\b")
_TERM = re.compile(r"^(?:[-*|] *)?\*\*([^*]+)\*\*", re.MULTILINE)


def broken_links(text: str, at: Path) -> list[str]:
    """Relative links of the Markdown file `at` whose file or heading is not there."""
    prose = _SPAN.sub("", _FENCE.sub("", text))
    return [target for target in _LINK.findall(prose) if not _resolves(target, text, at)]


def _resolves(target: str, text: str, at: Path) -> bool:
    if _OUTSIDE.match(target):
        return True
    name, _, anchor = target.partition("#")
    file = (at.parent / name).resolve() if name else at
    if not file.exists():
        return False
    if not anchor or file.suffix != ".md":
        return True
    return anchor in anchors(text if file == at.resolve() or not name else file.read_text("utf-8"))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        again = sum(1 for other in found if re.fullmatch(re.escape(slug) + r"(?:-\d+)?", other))
        found.add(f"{slug}-{again}" if again else slug)
    return found


def missing_paths(text: str, exists: Callable[[str], bool]) -> list[str]:
    """Files and folders named in code spans that are not there; NNNN stands for any number."""
    named = [path.rstrip("/") for path in _PATH.findall(text) if "NNNN" not in path]
    return [path for path in named if not exists(path)]


def missing_pages(text: str, exists: Callable[[str], bool]) -> list[str]:
    """Pages named in prose, outside of code spans, that are not there: paths from the root."""
    if ".md" not in text:
        return []
    return [page for page in _PAGE.findall(_SPAN.sub("", text)) if not exists(page)]


def remarks(name: str, text: str) -> str:
    """What a file of Python or SQL says to its reader: comments and docstrings."""
    if name.endswith(".sql"):
        return "\n".join(re.findall(r"--(.*)$", text, re.MULTILINE))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    said = [token.string for token in tokens if token.type == tokenize.COMMENT]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return "\n".join([*said, *(ast.get_docstring(node) or "" for node in nodes)])


def missing_targets(text: str, makefile: str) -> list[str]:
    """Targets of `make` that are named and are not in the Makefile."""
    patterns = re.findall(r"^([a-z][a-z%-]*):", makefile, re.MULTILINE)
    return [
        target
        for target in _TARGET.findall(text)
        if not any(PurePosixPath(target).match(pattern.replace("%", "*")) for pattern in patterns)
    ]


def unknown_variables(text: str, known: set[str]) -> list[str]:
    return sorted(set(_VARIABLE.findall(text)) - known)


def commands(
    group: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words: `tenants create`."""
    if not isinstance(group, click.Group):
        yield " ".join(path), group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and not there"
        yield from commands(command, (*path, name))


def undocumented(group: click.Command, page: str) -> list[str]:
    """Commands and options of the command line that the page does not name."""
    found = []
    for words, command in commands(group):
        section = re.search(
            rf"^#+ `tenantry {re.escape(words)}`$(.*?)(?=^#+ |\Z)", page, re.M | re.S
        )
        if section is None:
            found.append(words)
            continue
        found += [
            f"{words} {option}"
            for parameter in command.params
            if isinstance(parameter, click.Option) and not parameter.hidden
            for option in parameter.opts
            if option.startswith("--") and f"`{option}" not in section[1]
        ]
    return found


def glossary_terms(text: str) -> list[str]:
    """The terms that a glossary defines: bold at the start of a line, item or row."""
    return [term.strip().lower() for terms in _TERM.findall(text) for term in terms.split(",")]


def unused_terms(text: str, elsewhere: str) -> list[str]:
    """Terms that occur nowhere else, in whatever case, spelling with or without hyphens."""
    flat = re.sub(r"[-_\s]+", " ", elsewhere.lower())
    return [t for t in glossary_terms(text) if re.sub(r"[-_\s]+", " ", t) not in flat]
