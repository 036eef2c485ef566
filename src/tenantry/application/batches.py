"""Batch inference for one tenant: many records, one reservation, half the price.

| # | step | what a crash after it leaves |
|---|---|---|
| 1 | note the job as planned | a note, which the round ends |
| 2 | admit the sum of all bounds at the batch tier | holds, which the round gives back |
| 3 | commit an intent for each record | the same |
| 4 | write the records into the placement's bucket | the same, and an object |
| 5 | every record becomes `unknown` and keeps its hold | the same |
| 6 | note the job as submitting | the round creates it |
| 7 | create the job under the request's id | the same: creating it twice makes one |

How it ends is `application/batch_settling.py`. Invariant: nothing is asked of Bedrock before every
record has a committed intent.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tenantry.application import batch_job
from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.attempts import to_error
from tenantry.application.calls import ChatCall
from tenantry.application.context import RequestContext
from tenantry.application.gate import Gate
from tenantry.application.metering import never_left
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.application.planning import PlannedChat, Planning
from tenantry.domain.batch import NATIVE_FAMILIES, RECORDS_MAX, RECORDS_MIN, input_lines
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.errors import BadRequest, TenantryError, Unavailable
from tenantry.domain.price import BATCH_TIER
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.batch import BatchJob, BatchNotes, Buckets
from tenantry.ports.model import Failure, FailureKind, ModelPort

WAITING = "batch"  # why the end of its records is not known yet
_OPERATIONS = ("Converse", "InvokeModel")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch whose reservation is durable. `job_arn` None: Bedrock is asked again by the round."""

    request_id: UUID
    records: int
    job_arn: str | None


class Batches:
    """One for each worker."""

    def __init__(
        self,
        gate: Gate,
        planning: Planning,
        model: ModelPort,
        notes: BatchNotes,
        buckets: Buckets,
        tasks: OwnedTasks,
        env: str,
    ) -> None:
        self._gate = gate
        self._planning = planning
        self._model = model
        self._notes = notes
        self._buckets = buckets
        self._tasks = tasks
        self._env = env

    async def submit(self, ctx: RequestContext, chats: Sequence[ChatCall]) -> Submitted:
        """Takes records of one model and operation; refusals leave nothing behind."""
        _check(chats)
        work = self._submit(ctx, chats)
        return await asyncio.shield(self._tasks.start(work, name="batch"))

    async def _submit(self, ctx: RequestContext, chats: Sequence[ChatCall]) -> Submitted:
        catalogue = await self._planning.catalogue()
        salt = await self._planning.salt(ctx.principal)
        planned: list[PlannedChat] = []

        def planner(principal: Principal, most: int | None = None) -> list[PlannedCall]:
            planned[:] = [
                _as_batch(self._plan(principal, number, chat, catalogue, salt))
                for number, chat in enumerate(chats, start=1)
            ]
            return [one.planned for one in planned]

        planner(ctx.principal)  # so that what cannot be planned is refused before it is noted
        job = self._job(ctx, planned)
        await self._notes.plan(job)
        try:
            # A batch is one request of the day; the minute limits pace calls, which it is not.
            request = await self._gate.open(ctx, planner, paced_by_minute=False)
        except BaseException:
            await self._notes.advance(job, "refused", message="not admitted")
            raise
        job = await self._hand_over(request, job, planned)
        return await self._create(job)

    def _plan(
        self,
        principal: Principal,
        number: int,
        chat: ChatCall,
        catalogue: Catalogue,
        salt: str | None,
    ) -> PlannedChat:
        """As a call of its own would be; what is wrong with a record says with which."""
        try:
            return self._planning.chat(principal, chat, catalogue, salt)
        except BadRequest as problem:
            raise type(problem)(f"record {number}: {problem}", **problem.details) from None

    async def _hand_over(
        self, request: AdmittedRequest, job: BatchJob, planned: Sequence[PlannedChat]
    ) -> BatchJob:
        """From a reservation to records that wait for Bedrock; gives all of it back otherwise."""
        begun = 1  # with the reservation
        try:
            for call in range(1, len(planned)):
                await request.begin(planned[call].planned, call, 1)
                begun += 1
            content = input_lines([one.body for one in planned])
            await self._buckets.put(job.upstream, job.input_uri, content)
        except BaseException as problem:
            for call in range(begun):
                request.ended(never_left(call=call, attempt=1))
            await request.settle()
            why = f": {problem.message}" if isinstance(problem, TenantryError) else ""
            await self._notes.advance(job, "refused", message=f"not handed over{why}")
            raise
        for call in range(begun):
            request.ended(AttemptOutcome(call, 1, "unknown", error=WAITING))
        await request.settle()  # the slot falls free; the hold stays until the records are settled
        if not await self._notes.advance(job, "submitting"):
            raise Unavailable("The batch took too long to be taken in; nothing was charged.")
        return dataclasses.replace(job, state="submitting")

    async def _create(self, job: BatchJob) -> Submitted:
        result = await batch_job.create(self._model, job)
        if isinstance(result, Failure):
            if result.kind is FailureKind.REFUSED:
                # Its records are given back by the round, which is told the same.
                raise to_error(result)
            return Submitted(job.request_id, job.records, None)
        arn = batch_job.arn_of(result)
        if arn is not None:
            await self._notes.advance(job, "running", job_arn=arn)
        return Submitted(job.request_id, job.records, arn)

    def _job(self, ctx: RequestContext, planned: Sequence[PlannedChat]) -> BatchJob:
        placement = ctx.principal.tenant.placement
        if placement.batch_s3_uri is None or placement.batch_role_arn is None:
            raise BadRequest("the tenant's placement has no bucket for batches")
        first = planned[0]
        folder = f"{placement.batch_s3_uri.rstrip('/')}/{ctx.request_id}"
        return BatchJob(
            tenant_id=ctx.principal.tenant_id,
            request_id=ctx.request_id,
            state="planned",
            upstream=self._planning.upstream(ctx.principal, first.planned.region),
            operation=first.planned.operation,
            model=first.planned.resolved.model.id,
            upstream_id=first.planned.resolved.upstream_id,
            records=len(planned),
            input_uri=f"{folder}/records.jsonl",
            output_uri=f"{folder}/",
            role_arn=placement.batch_role_arn,
            env=self._env,
        )


def _check(chats: Sequence[ChatCall]) -> None:
    if not RECORDS_MIN <= len(chats) <= RECORDS_MAX:
        raise BadRequest(f"a batch has {RECORDS_MIN} to {RECORDS_MAX:,} records")
    if len({(chat.model, chat.operation) for chat in chats}) != 1:
        raise BadRequest("all records of a batch are of one model and one operation")
    if chats[0].operation not in _OPERATIONS:
        raise BadRequest(f"a batch is of {' or '.join(_OPERATIONS)}")
    for number, chat in enumerate(chats, start=1):
        if chat.service_tier is not None or chat.request_metadata or chat.headers:
            raise BadRequest(f"record {number}: it has a tier, metadata or headers of its own")


def _as_batch(chat: PlannedChat) -> PlannedChat:
    """The call as one record: priced at the batch tier alone, and settled from an output file."""
    planned = chat.planned
    family = planned.resolved.model.family
    if planned.guarded:
        raise BadRequest("batch inference takes no guardrail")
    if planned.operation == "InvokeModel" and family not in NATIVE_FAMILIES:
        raise BadRequest(f"a batch of {family} tells no usage through InvokeModel; use Converse")
    pinned: Mapping[str, Any] = {**planned.pinned, "tier": BATCH_TIER}
    return dataclasses.replace(
        chat,
        planned=dataclasses.replace(
            planned, output_least=None, tiers=frozenset({BATCH_TIER}), pinned=dict(pinned)
        ),
    )
