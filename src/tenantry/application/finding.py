"""The calls that finding passages takes, within a request: embed the query, search, rerank.

Owns: their numbers (0 embeds; 1 reranks, where that was asked for) and that one which was not
needed is not paid for. The caller admits and settles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from tenantry.application.admission import PlannedCall
from tenantry.application.admitted import AdmittedRequest
from tenantry.application.asking import Search
from tenantry.application.context import RequestContext
from tenantry.application.embeddings import UNPLANNABLE, Embeddings
from tenantry.application.knowledge import Knowledge, QuerySpaces
from tenantry.application.metered_embedding import WithinRequest
from tenantry.application.planning import PlannedChat
from tenantry.application.reranking import Reranker
from tenantry.application.retrieval import search
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.chunk import Passage
from tenantry.domain.errors import BadRequest
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal

_EMBED_CALL, _RERANK_CALL = 0, 1


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """The planned calls of a search; those of a request that goes on are numbered after them."""

    spaces: QuerySpaces
    embed: PlannedChat
    rerank: PlannedCall | None
    spare: PlannedChat | None = None  # where a reindex may take the documents first

    @property
    def calls(self) -> list[PlannedCall]:
        return [self.embed.planned, *([self.rerank] if self.rerank else [])]

    @property
    def spare_calls(self) -> list[PlannedCall]:
        """The last call of the request, reserved while a reindex runs and seldom made."""
        return [] if self.spare is None else [self.spare.planned]


def calls_of(asked: Search) -> int:
    """How many calls a search plans."""
    return 1 if asked.reranking is None else 2


@contextmanager
def _of_the_plans_model() -> Iterator[None]:
    """What is refused of it is not about the model that the caller has named."""
    try:
        yield
    except UNPLANNABLE as refusal:
        refusal.details.pop("of", None)
        raise


class Finder:
    """One for each worker."""

    def __init__(self, knowledge: Knowledge, embeddings: Embeddings, reranker: Reranker) -> None:
        self._knowledge = knowledge
        self._embeddings = embeddings
        self._reranker = reranker

    async def spaces(self, principal: Principal) -> QuerySpaces:
        """Where the query may have to be embedded: the next space where it can be, as it is now."""
        with _of_the_plans_model():
            spaces = await self._knowledge.query_spaces(principal)
        if spaces.next is None or await self._embeddings.can_plan_in(principal, spaces.next):
            return spaces
        return replace(spaces, next=None)

    def plan(
        self, principal: Principal, catalogue: Catalogue, asked: Search, spaces: QuerySpaces
    ) -> PlannedSearch:
        """Raises `BadRequest` for words that the vector engine does not read, and what planning
        its calls raises, but for the spare: a search that works is not refused for a reindex."""
        if asked.by_words and not self._knowledge.vectors.reads_words:
            raise BadRequest(
                "HYBRID is not supported here: the vector engine compares vectors, not words."
            )

        def embed(space: Space) -> PlannedChat:
            with _of_the_plans_model():
                return self._embeddings.plan_in(principal, catalogue, space, asked.query)

        wanted, rerank = asked.reranking, None
        if wanted is not None:
            rerank = self._reranker.plan(principal, catalogue, wanted.model, asked.top_k)
        spare = None
        if spaces.next is not None:
            with suppress(*UNPLANNABLE):  # the plan may have changed since `spaces`
                spare = embed(spaces.next)
        return PlannedSearch(spaces, embed(spaces.live), rerank, spare)

    async def find(
        self, ctx: RequestContext, request: AdmittedRequest, planned: PlannedSearch, asked: Search
    ) -> list[Passage]:
        """Passages, best first. Raises what `retrieval.search` and `Reranker.run` raise."""
        calls = {planned.spaces.live: (_EMBED_CALL, planned.embed)}
        if planned.spaces.next is not None and planned.spare is not None:
            calls[planned.spaces.next] = (len(request.admission.calls) - 1, planned.spare)
        within = WithinRequest(request, self._embeddings, calls)
        try:
            found = await search(
                self._knowledge,
                request.principal,
                asked.query,
                planned.spaces,
                groups=ctx.groups,
                top_k=asked.top_k,
                where=asked.where,
                request=within,
                most=asked.most,
                by_words=asked.by_words is not False,
            )
        finally:
            within.release_if_unused()
        if not found or planned.rerank is None or asked.reranking is None:
            return list(found)
        return await self._reranker.best(
            request, planned.rerank, _RERANK_CALL, asked.query, found, asked.reranking
        )
