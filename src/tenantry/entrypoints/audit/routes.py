"""The routes of a deployment, as its own API description tells them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

METHODS: Final = ("get", "post", "put", "patch", "delete")
# Whoever reaches the port may call these. Every other route without credentials is a finding.
PUBLIC: Final = frozenset(
    {"GET /openapi.json", "GET /healthz", "GET /readyz", "GET /metrics", "GET /docs"}
)
_SCOPES = re.compile(r"Scopes: (.*)")
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    line: str  # `GET /v1/documents/{id}`
    scopes: tuple[str, ...]
    secured: bool

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def template(self) -> str:
        return self.line.partition(" ")[2]

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(_PARAMETER.findall(self.template))

    @property
    def slug(self) -> str:
        """The operation's part of an attack's id."""
        words = re.findall(r"[a-z0-9]+", self.template.lower())
        return "-".join((self.method.lower(), *words))

    def collection(self, parameter: str) -> str:
        """The segment before a parameter: what kind of thing it names."""
        segments = self.template.split("/")
        return segments[segments.index(f"{{{parameter}}}") - 1]


def operations_of(description: Mapping[str, Any]) -> Sequence[Operation]:
    """Every operation of an OpenAPI document, in its order."""
    found = []
    for template, methods in description.get("paths", {}).items():
        for method in METHODS:
            told = methods.get(method)
            if told is not None:
                found.append(_operation(f"{method.upper()} {template}", told))
    return found


def _operation(line: str, told: Mapping[str, Any]) -> Operation:
    scopes = _SCOPES.search(told.get("description", ""))
    named = tuple(re.findall(r"`([a-z:]+)`", scopes[1])) if scopes else ()
    return Operation(line, named, bool(told.get("security")))
