"""Which database the sealed objects belong to, and which of them it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from tenantry.domain.ids import TenantId
from tenantry.domain.object_mark import DatabaseState, ObjectMark
from tenantry.ports.objects import ObjectKind


class DatabaseMark(Protocol):
    """The database's side. Errors: Unavailable."""

    async def read(self, line: str | None) -> DatabaseState:
        """With how far that line came; None: what marks of before are compared with.

        Unavailable too where the server does not tell which one it is.
        """
        ...

    async def advance(self, mark: ObjectMark, line: str) -> datetime | None:
        """The next instant of `line`, which may begin with it, in one commit. None, nothing
        changed: the mark is of a state that it does not know."""
        ...

    async def adopt(self, line: str) -> datetime:
        """The first instant of a line that nobody had."""
        ...


class NamedObjects(Protocol):
    """What a tenant cannot do without: originals and segments. Errors: Unavailable."""

    async def needed(self, tenant_id: TenantId) -> Mapping[ObjectKind, frozenset[str]]: ...


class MarkFile(Protocol):
    """The side of the objects. Errors: Unavailable where their disk is not there, or refuses."""

    async def read(self) -> ObjectMark | None:
        """None: there was none yet. Corrupt for one that cannot be read."""
        ...

    async def begin(self, mark: ObjectMark) -> None:
        """Durable on return. Nothing changes where there is one."""
        ...

    async def write(self, mark: ObjectMark) -> None:
        """Durable on return, in place of what is there."""
        ...
