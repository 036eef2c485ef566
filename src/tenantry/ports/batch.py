"""What batch inference needs of the outside: a bucket, a memory of jobs, and the ledger.

Owns: the words of a job. Jobs themselves are made and asked for through `ports.model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from tenantry.domain.ids import TenantId
from tenantry.ports.admission import Settlement
from tenantry.ports.ledger import AttemptKey, OpenAttempt
from tenantry.ports.model import Upstream

# planned: noted before anything is reserved, so that a crash is found; submitting: all is durable
# and Bedrock may have the job; running: it has. The others are ends.
BatchState = Literal["planned", "submitting", "running", "settled", "refused"]


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job of one tenant. Its id is its request's; what lies behind `input_uri` is its content."""

    tenant_id: TenantId
    request_id: UUID
    state: BatchState
    upstream: Upstream
    operation: str  # Converse or InvokeModel
    model: str  # the catalogue's id
    upstream_id: str  # as Bedrock is asked for it
    records: int
    input_uri: str
    output_uri: str  # a prefix
    role_arn: str
    env: str
    job_arn: str | None = None
    message: str = ""
    created_at: datetime | None = None  # by the database's clock


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job that has not ended, as the database sees it now."""

    job: BatchJob
    age_s: int  # in its state
    waits: bool  # some record has no end yet, nor is it kept for a person to look at


class BatchNotes(Protocol):
    """A tenant's jobs, written by the data plane. Raises `Unavailable`."""

    async def plan(self, job: BatchJob) -> None: ...

    async def advance(
        self,
        job: BatchJob,
        to: BatchState,
        *,
        job_arn: str | None = None,
        message: str = "",
    ) -> bool:
        """From the job's state to another; False, and nothing changed, where it is in neither."""
        ...


class BatchBook(Protocol):
    """The worker's side: jobs of every tenant that have not ended, and what is posted of them."""

    async def open_jobs(self, after: BatchJob | None, limit: int) -> Sequence[OpenJob]:
        """The oldest first, behind `after`."""
        ...

    async def listed(self, tenant_id: TenantId, limit: int) -> Sequence[BatchJob]:
        """One tenant's, the newest first."""
        ...

    async def advance(
        self,
        job: BatchJob,
        to: BatchState,
        *,
        job_arn: str | None = None,
        message: str = "",
        answered: int = 0,
    ) -> bool:
        """As `BatchNotes.advance`; of a job that ends by it the outside hears, and how many of its
        records were answered.
        """
        ...


class BatchLedger(Protocol):
    """The part of the ledger's keeper that ends records."""

    async def find_open(self, keys: Sequence[AttemptKey]) -> list[OpenAttempt]: ...

    async def post(self, settlement: Settlement) -> bool:
        """Posts outcomes of one request, each attempt at most once, however often it comes."""
        ...

    async def give_up_request(self, tenant_id: TenantId, request_id: UUID) -> int:
        """Writes off what is still unknown of a request, but for what is kept for a person to look
        at; returns how many attempts.
        """
        ...


class Buckets(Protocol):
    """Objects by `s3://` URI in the accounts' own buckets. Errors: NotFound, and Unavailable,
    within half a minute where nothing is heard of the bucket.
    """

    async def put(self, upstream: Upstream, uri: str, data: bytes) -> None:
        """Whole or not at all; an object of that name is replaced."""
        ...

    async def get(self, upstream: Upstream, uri: str) -> bytes: ...

    async def delete(self, upstream: Upstream, uri: str) -> None:
        """Idempotent."""
        ...
