"""Answers over passages that a test puts on a shelf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tests.support.core import TITAN, plan, principal
from tests.support.scripted import Core, Script, core, reply

from tenantry.application.answers import Answers
from tenantry.application.asking import plain_question
from tenantry.application.finding import Finder
from tenantry.application.grounded import Grounded
from tenantry.application.knowledge import Knowledge
from tenantry.application.metered_embedding import MeteredEmbedder
from tenantry.application.reranking import Reranker
from tenantry.domain import errors
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Home
from tenantry.domain.ids import DocumentId, TenantId
from tenantry.domain.space import Space
from tenantry.ports.manifest import Spaces

PLAN = plan(default_model="claude", embedding_model=TITAN.id, max_tokens_default=100)
ACME = principal("acme", PLAN)
EMBEDDED = reply({"embedding": [1.0] * 512, "inputTextTokenCount": 4})
WHAT = plain_question("What is a tenant?", None, 3, None)
OUTAGE = errors.Unavailable("the objects are out of reach")


def passage(text: str, title: str = "Guide") -> Passage:
    return Passage(DocumentId("doc_1"), title, text, 0.9, 0, len(text))


@dataclass
class Shelf:
    """Manifest, keys and vectors of tenants: as much of them as a search asks for."""

    passages: dict[str, Sequence[Passage]] = field(default_factory=dict)
    trouble: BaseException | None = None
    no_key: BaseException | None = None  # found out after the admission
    live: Space | None = None
    next: Space | None = None  # a reindex ends before the first search
    engine: str = ""  # where the documents rest: as it is before a model's id in a pin
    reads_words: bool = True
    looks: int = 0

    async def spaces(self, tenant_id: TenantId) -> Spaces:
        self.looks += 1
        pin = "" if self.live is None else self.engine + self.live.model
        return Spaces(int(tenant_id in self.passages), self.live, self.next, pin)

    def pinned(self, model: str) -> str:
        return model

    async def check(self, home: Home) -> None:
        """Its tenant key opens, or not."""
        if self.no_key is not None:
            raise self.no_key

    async def search(
        self, home: Home, model: str, vector: Sequence[float], top_k: int, permitted: object
    ) -> Sequence[Passage]:
        if self.trouble is not None:
            raise self.trouble
        if self.next is not None:
            self.live, self.next = self.next, None
            raise errors.Conflict("the documents were indexed with another embedding model")
        return self.passages[home.tenant_id][:top_k]


def grounded(shelf: Shelf, *script: Script) -> tuple[Core, Grounded]:
    worker = core(*script)
    none = cast(Any, None)  # what a search never asks
    knowledge = Knowledge(
        manifest=cast(Any, shelf),
        objects=none,
        keys=cast(Any, shelf),
        sealer=none,
        vectors=cast(Any, shelf),
        extractor=none,
        splitter=none,
        embedder=MeteredEmbedder(worker.embeddings, worker.clock),
        clock=worker.clock,
        tasks=none,
    )
    return worker, Grounded(
        worker.gate,
        worker.planning,
        Finder(
            knowledge,
            worker.embeddings,
            Reranker(worker.gate, worker.planning, worker.model, worker.tasks),
        ),
        worker.calls,
        worker.model,
        worker.tasks,
        worker.clock,
        worker.limits,
    )


def answers(shelf: Shelf, *script: Script) -> tuple[Core, Answers]:
    worker, made = grounded(shelf, *script)
    return worker, Answers(made)


def rows(worker: Core) -> list[tuple[int, int, str]]:
    return [(o.call, o.attempt, o.end) for o in worker.admission.outcomes]
