"""What a request carries besides its body: who asks, for whom, and under which idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from tenantry.domain.chat_request import Clamp
from tenantry.domain.record import record
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import Admitted


@dataclass(frozen=True, slots=True)
class Idempotency:
    """`implied`: made of boto3's `amz-sdk-invocation-id`; such a call joins the one in flight.

    `body_sha256` is of the body and of all else that decides the answer. `resent`: the client
    says that it sent this before.
    """

    key: str
    body_sha256: bytes
    implied: bool
    resent: bool = False


@dataclass(slots=True)
class Progress:
    """How far a request came; written by the use cases, read by whoever must know it."""

    admitted: bool = False  # from here on a model may have been asked
    spent: bool = False  # it is charged for something, or nobody knows what it has cost
    verdict: Admitted | None = None  # and what it left of the limits


@record
class RequestContext:
    """Made by the ingress, once a request. `groups` None: the header was absent."""

    request_id: UUID
    principal: Principal
    user: str | None = None
    groups: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    idempotency: Idempotency | None = None
    wire: Literal["bedrock", "openai", "anthropic", "tenantry"] = "tenantry"
    progress: Progress = field(default_factory=Progress)

    def clamp(self, principal: Principal, most: int | None) -> Clamp:
        """How far the plan lets an answer of this request be shortened."""
        return Clamp(principal.tenant.plan.clamps(in_run=self.run_id is not None), most)
