"""What is asked of a tenant's documents, whichever wire it came by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenantry.application.retrieval import TOP_K_MAX, check_query
from tenantry.domain.chunk import Passage
from tenantry.domain.filter import Filter
from tenantry.domain.prompt import answer_prompt
from tenantry.domain.rerank import Reranking

# The body of Converse that answers from passages, best first; asked again for fewer of them.
Compose = Callable[[Sequence[Passage]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Search:
    """Which passages are wanted. `most` is the wire's bound of `top_k`.

    `by_words` None: also by the query's words where the engine reads them; True: refused where it
    does not; False: by the vector alone.
    """

    query: str
    top_k: int
    where: Filter | None = None
    reranking: Reranking | None = None
    by_words: bool | None = None
    most: int = TOP_K_MAX

    def check(self) -> None:
        """Raises `BadRequest`."""
        check_query(self.query, self.top_k, self.most)


@dataclass(frozen=True, slots=True)
class Question:
    """A search whose passages a model answers from. `model` None: the plan's default."""

    search: Search
    model: str | None
    compose: Compose


def plain_question(
    query: str,
    model: str | None,
    top_k: int,
    where: Filter | None,
    reranking: Reranking | None = None,
) -> Question:
    """One that is answered under our own rules, with citations by number."""

    def compose(passages: Sequence[Passage]) -> Mapping[str, Any]:
        prompt = answer_prompt(query, passages)
        return {
            "system": [{"text": prompt.system}],
            "messages": [{"role": "user", "content": [{"text": prompt.user}]}],
        }

    return Question(Search(query, top_k, where, reranking), model, compose)
