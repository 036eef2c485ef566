"""The way in to every metered request: who it is for, what it may use, one reservation.

Owns: joining attribution, admission and settlement into an `AdmittedRequest`.
"""

from __future__ import annotations

from tenantry.application.admission import OnRefused, Planner, admit
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.context import RequestContext
from tenantry.application.owned_tasks import OwnedTasks
from tenantry.ports.admission import AdmissionPort
from tenantry.ports.directory import Directory
from tenantry.ports.labels import Labels


class Gate:
    """One for each worker."""

    def __init__(
        self,
        port: AdmissionPort,
        directory: Directory,
        labels: Labels,
        tasks: OwnedTasks,
        settle_wait_ms: int,
        on_refused: OnRefused | None = None,
    ) -> None:
        self._port = port
        self._directory = directory
        self._labels = labels
        self._tasks = tasks
        self._settle_wait_ms = settle_wait_ms
        self._on_refused = on_refused

    async def open(
        self,
        ctx: RequestContext,
        planner: Planner,
        *,
        counts_as_request: bool = True,
        paced_by_minute: bool = True,
    ) -> AdmittedRequest:
        """Admitted durably on return; raises the refusal otherwise. The caller must settle."""
        user_hash = None
        if ctx.user is not None:
            user_hash = await self._labels.user_hash(ctx.principal, ctx.user)
        admission = await admit(
            self._port,
            self._directory,
            ctx,
            planner,
            user_hash=user_hash,
            counts_as_request=counts_as_request,
            paced_by_minute=paced_by_minute,
            on_refused=self._on_refused,
        )
        ctx.progress.admitted, ctx.progress.verdict = True, admission.admitted
        return AdmittedRequest(
            self._port, admission, ctx.request_id, self._tasks, self._settle_wait_ms, ctx.progress
        )
