"""What code may not touch: binary fractions near money, the environment, the world at import."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator

# Standard modules through which time, randomness or the world come in.
_WORLDLY = re.compile(
    "asyncio|ctypes|fcntl|glob|http|io|multiprocessing|os|pathlib|queue|random|secrets|select|"
    "shutil|signal|socket|sqlite3|ssl|subprocess|sys|tempfile|threading|time"
)
_CLOCKS = frozenset({"now", "utcnow", "today", "uuid1", "uuid4"})
_EFFECTS = re.compile(
    "open|connect|run|Popen|check_output|check_call|call|system|getenv|read_text|read_bytes|"
    "write_text|write_bytes|mkdir|unlink|rmtree|urlopen|socket|now|utcnow|today|time|monotonic|"
    "perf_counter|uuid1|uuid4|urandom|token_bytes|token_hex|randbytes|getrandbits|Thread|start|"
    "InferenceSession|create_pool|get_event_loop|basicConfig|sleep|gethostname|getpid"
)


def binary_fractions(text: str) -> list[str]:
    """Literals like 0.1, the name `float`, and true division, whose result would be one.

    To ask whether something is a float, in order to refuse it, is allowed.
    """
    found = []
    tree = ast.parse(text)
    asked = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"line {node.lineno}: {node.value} is a binary fraction")
        elif isinstance(node, ast.Name) and node.id == "float" and id(node) not in asked:
            found.append(f"line {node.lineno}: float")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"line {node.lineno}: true division")
    return found


def environment_reads(text: str) -> list[str]:
    """`os.environ`, `os.getenv` and their imports."""
    names = {"environ", "environb", "getenv", "getenvb"}
    found: list[str] = []
    if not any(name in text for name in names):
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in names and _is_os(node.value):
            found.append(f"line {node.lineno}: os.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            taken = names & {alias.name for alias in node.names}
            found += [f"line {node.lineno}: from os import {name}" for name in sorted(taken)]
    return found


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("os", "_os")


def unsafe_paths(text: str) -> list[str]:
    """A Python that is started without `-P` or `-I`: it would import what lies in the folder that
    it happens to be started in.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        parts: list[ast.expr] = []
        if isinstance(node, ast.List | ast.Tuple):
            parts = node.elts
        elif isinstance(node, ast.Call) and not ast.unparse(node.func).startswith("os.exec"):
            parts = node.args  # of `os.exec*` the first one is the file, and no argument
        for part, following in itertools.zip_longest(parts, parts[1:]):
            if ast.unparse(part) == "sys.executable" and not (
                isinstance(following, ast.Constant) and following.value in ("-P", "-I")
            ):
                found.append(f"line {part.lineno}: Python without -P")
    return found


def import_effects(text: str) -> list[str]:
    """Calls at import that open, start, read, or ask clock or chance. A heuristic by name."""
    found = []
    for node in _at_import(ast.parse(text)):
        if isinstance(node, ast.Call):
            function = node.func
            name = getattr(function, "attr", None) or getattr(function, "id", None)
            if name and _EFFECTS.fullmatch(name):
                found.append(f"line {node.lineno}: {name}() at import")
    return found


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs when a module is imported: all but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda) or _is_main_guard(child):
            continue
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            evaluated = [*child.decorator_list, *child.args.defaults]
            for part in [*evaluated, *filter(None, child.args.kw_defaults)]:
                yield part
                yield from _at_import(part)
        else:
            yield from _at_import(child)


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def foreign_imports(text: str, package: str = "tenantry") -> list[str]:
    """Imports of what is neither the standard library nor `package`."""
    allowed = sys.stdlib_module_names | {package}
    return [f"line {n}: imports {name}" for n, name in _imports(text) if name not in allowed]


def worldly_imports(text: str) -> list[str]:
    """Imports and calls through which a pure module would meet time, chance or the world."""
    found = [f"line {n}: imports {name}" for n, name in _imports(text) if _WORLDLY.fullmatch(name)]
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _CLOCKS
        ):
            found.append(f"line {node.lineno}: {node.func.attr}()")
    return found


def _imports(text: str) -> Iterator[tuple[int, str]]:
    """Line and top-level package of each import."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]
