"""The plans of one chat, as its budgets are asked again.

A body is judged once for each principal: what a budget changes is the output limit alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tenantry.application.calls import ChatCall
from tenantry.application.planning import PlannedChat, Planning
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.chat_request import Clamp, lowered
from tenantry.domain.tenant import Principal


class ChatPlans:
    """Of one request. `call` makes the chat for a principal, whose plan may change meanwhile."""

    def __init__(
        self,
        planning: Planning,
        call: Callable[[Principal], ChatCall],
        catalogue: Catalogue,
        salt: str | None,
    ) -> None:
        self._planning = planning
        self._call = call
        self._catalogue = catalogue
        self._salt = salt
        self._judged: tuple[Principal, PlannedChat] | None = None

    def under(self, principal: Principal, clamp: Clamp) -> PlannedChat:
        """The chat as it would leave under `clamp`, which allows of a principal ever the same."""
        if self._judged is not None and self._judged[0] is principal:
            return _under(self._judged[1], principal, clamp)
        chat = self._call(principal)
        planned = self._planning.chat(principal, chat, self._catalogue, self._salt, clamp)
        self._judged = principal, planned
        return planned


def _under(judged: PlannedChat, principal: Principal, clamp: Clamp) -> PlannedChat:
    planned, least = judged.planned, judged.planned.output_least
    if least is None:  # nothing may be lowered
        return judged
    converse = judged.chat.operation.startswith("Converse")
    ceiling = principal.tenant.plan.max_tokens_ceiling
    body, limit = lowered(
        judged.body, planned.resolved.model, judged.asked, least, ceiling, clamp, converse=converse
    )
    bound = dataclasses.replace(planned.bound, output_tokens=limit)
    return dataclasses.replace(
        judged,
        planned=dataclasses.replace(planned, bound=bound),
        body=body,
        max_tokens=limit if limit < judged.asked else None,
    )
