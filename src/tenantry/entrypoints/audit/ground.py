"""Where an audit is made: the deployment's ports, the canaries, and what is known of its routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.credentials import Credential
from tenantry.entrypoints.audit.exchange import Ask, Reply
from tenantry.entrypoints.audit.operator import Operator
from tenantry.entrypoints.audit.routes import Operation
from tenantry.entrypoints.audit.wire import Wire

if TYPE_CHECKING:
    from tenantry.bootstrap.audit import LocalStores


@dataclass(slots=True)
class Ground:
    data: Wire
    operator: Operator
    token: str  # the operator's
    operations: Sequence[Operation]  # of the data plane
    admin_operations: Sequence[Operation]
    models: Mapping[str, Mapping[str, Any]]  # of the catalogue, by id
    plan: Mapping[str, Any]  # of the canaries
    now: Callable[[], datetime]
    a: Canary
    b: Canary
    c: Canary  # of a region that is nowhere
    local: LocalStores | None = None  # where the data folder and the database are within reach
    not_local: str = ""  # why they are not
    controls: dict[str, str] = field(default_factory=dict)  # operation → why A is not served

    def send(
        self,
        who: Canary,
        asked: Ask,
        credential: Credential | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A canary's request, with its tag."""
        tagged = replace(asked, headers={**who.tags, **asked.headers, **(headers or {})})
        return self.data.send(tagged, credential or who.credential, who=who.name)

    def stranger(self, asked: Ask, credential: Credential) -> Reply:
        """A request of somebody whom nobody should know."""
        return self.data.send(asked, credential, who="")

    def operation(self, line: str) -> Operation | None:
        return next((found for found in self.operations if found.line == line), None)

    @property
    def canaries(self) -> tuple[Canary, Canary, Canary]:
        return self.a, self.b, self.c
