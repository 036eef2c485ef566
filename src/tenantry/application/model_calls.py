"""A plain call of an admitted request: attempted, read, its outcome noted.

Owns: from a planned call to a reply whose usage is on the request. The caller settles.
"""

from __future__ import annotations

from tenantry.application import metering
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.attempts import attempts
from tenantry.application.calls import ChatCall
from tenantry.application.guarding import usages_in, without_trace
from tenantry.application.planning import PlannedChat, Planning
from tenantry.domain import normalise
from tenantry.domain.answer_shape import is_answer
from tenantry.domain.errors import UpstreamRubbish
from tenantry.domain.guardrail_usage import with_guardrail
from tenantry.ports.model import ModelPort, Reply


class ModelCalls:
    """One for each worker."""

    def __init__(self, model: ModelPort, planning: Planning) -> None:
        self._model = model
        self._planning = planning

    async def plain(self, request: AdmittedRequest, call: int, planned: PlannedChat) -> Reply:
        """The reply; raises `UpstreamFailed`. Outcomes are noted either way."""
        leave = self._planning.departure(request.principal, request.request_id, call, planned)
        chat = planned.chat
        reply, attempt = await attempts(
            request, planned.planned, call, self._model.invoke, leave.attempt
        )
        outcome = metering.settled(
            _reading(reply, planned),
            planned.planned,
            request.admission.prices,
            request.principal.tenant.plan,
            call=call,
            attempt=attempt,
            tier=metering.tier_of(reply.document, reply.headers),
            upstream_request_id=reply.request_id,
        )
        request.ended(outcome)
        if not isinstance(reply.document, dict) or (
            chat.operation == "Converse" and not is_answer(reply.document)
        ):
            raise UpstreamRubbish
        return without_trace(reply, chat.operation) if planned.planned.hides_trace else reply


def _reading(reply: Reply, planned: PlannedChat) -> normalise.Reading:
    reading = _model_reading(reply, planned)
    if not planned.planned.guarded:
        return reading
    return with_guardrail(reading, usages_in(reply.document, planned.chat.operation))


def _model_reading(reply: Reply, planned: PlannedChat) -> normalise.Reading:
    family = planned.planned.resolved.model.family
    klass = metering.write_class(planned.planned)
    chat: ChatCall = planned.chat
    if chat.operation == "Converse":
        usage = reply.document.get("usage") if isinstance(reply.document, dict) else None
        return normalise.from_converse(usage, family, klass)
    if planned.planned.resolved.model.kind == "rerank":
        return normalise.from_rerank(len(chat.body["documents"]))
    return normalise.from_invoke(reply.headers, reply.document, family, klass)
