"""What is asked of a tenant's documents, whichever wire it came by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tenantry.application.calls import ChatCall, ChatOperation
from tenantry.application.retrieval import QUERY_CHARS_MAX, TOP_K_MAX, check_query
from tenantry.domain.chunk import Passage
from tenantry.domain.errors import BadRequest
from tenantry.domain.filter import Filter
from tenantry.domain.grounding import grounded, question_in
from tenantry.domain.prompt import answer_prompt
from tenantry.domain.rerank import Reranking
from tenantry.domain.tenant import Principal

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
    called: str = "query"  # by its API

    def check(self) -> None:
        """Raises `BadRequest`."""
        check_query(self.query, self.top_k, self.most, called=self.called)


@dataclass(frozen=True, slots=True)
class Question:
    """A search whose passages a model answers from. `model` None: the plan's default."""

    search: Search
    model: str | None
    compose: Compose
    service_tier: str | None = None
    request_metadata: Mapping[str, str] = field(default_factory=dict)

    def call(
        self, principal: Principal, operation: ChatOperation, passages: Sequence[Passage]
    ) -> ChatCall:
        """The model's call that answers from these passages."""
        return ChatCall(
            operation,
            self.model or principal.tenant.plan.default_model,
            self.compose(passages),
            service_tier=self.service_tier,
            request_metadata=self.request_metadata,
        )


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

    search = Search(query, top_k, where, reranking, called="question")
    return Question(search, model, compose)


def chat_question(chat: ChatCall, top_k: int) -> Question:
    """A chat of the client's own through Converse, with passages for its last question.

    Raises `BadRequest` where none of its messages asks anything in words.
    """
    query = question_in(chat.body, QUERY_CHARS_MAX)
    if query is None:
        raise BadRequest(
            "`x-tenantry-knowledge` searches by the text of the last user message, "
            "and no user message has any text."
        )
    return Question(
        Search(query, top_k),
        chat.model,
        partial(grounded, chat.body),
        chat.service_tier,
        chat.request_metadata,
    )
