"""Every field that associated data binds, taken away one at a time: found in the code by itself.

A ciphertext is bound to what `associated_data(label, field, …)` holds. The calls are read from the
source, so that a new binding, or a new field of one, gets its mutants; `SUITES` says which tests
must notice.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
ENVELOPE = "tenantry/domain/envelope.py"
_KMS = "tests/contract/keys/test_kms.py"
# The beginning of a label → the suites that hold it.
SUITES: Mapping[str, tuple[str, ...]] = {
    "tenantry/segment/": ("tests/unit/knowledge/test_envelope.py",),
    "tenantry/blob/": ("tests/unit/knowledge/test_envelope.py",),
    "tenantry/subkey/": ("tests/unit/knowledge/test_keys.py",),
    "tenantry/tenant-key/": ("tests/unit/knowledge/test_root_keys.py", _KMS),
    "tenantry/kms/": ("tests/unit/knowledge/test_root_keys.py", _KMS),
}
# Bound twice, one within the other: taken away together, or the other one would still hold.
TWICE = frozenset({("tenantry/kms/v1", "name.kms_key"), ("tenantry/tenant-key/v1", "name.kms_key")})


@dataclass(frozen=True, slots=True)
class Binding:
    """The `place`-th field of what carries the label; `field` is what the code calls it."""

    label: str
    place: int
    field: str

    @property
    def killers(self) -> tuple[str, ...]:
        found = [tests for label, tests in SUITES.items() if self.label.startswith(label)]
        assert found, f"say in SUITES which tests hold {self.label}"
        return found[0]

    def planted(self, text: str) -> str:
        """The envelope's module, which forgets the field."""
        gone = {self.label: self.place}
        if (self.label, self.field) in TWICE:
            gone |= {one.label: one.place for one in bindings() if (one.label, one.field) in TWICE}
        return text + (
            f"\n\n_gone = {gone!r}\n"
            "_all_fields = associated_data\n\n\n"
            "def associated_data(*fields: str | bytes | int) -> bytes:\n"
            "    place = _gone.get(fields[0], len(fields))\n"
            "    return _all_fields(*fields[:place], *fields[place + 1 :])\n"
        )


def bindings() -> list[Binding]:
    found = {
        binding
        for path in sorted((SOURCE / "tenantry").rglob("*.py"))
        for binding in _of(ast.parse(path.read_text("utf-8")))
    }
    return sorted(found, key=lambda binding: (binding.label, binding.place))


def _of(tree: ast.Module) -> Iterator[Binding]:
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _name(node.func) != "associated_data":
            continue
        label = node.args[0]
        text = constants.get(label.id) if isinstance(label, ast.Name) else None
        text = label.value if isinstance(label, ast.Constant) else text
        assert isinstance(text, str), f"the label in line {node.lineno} is no literal"
        for place, field in enumerate(node.args[1:], 1):
            yield Binding(text, place, ast.unparse(field))


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
