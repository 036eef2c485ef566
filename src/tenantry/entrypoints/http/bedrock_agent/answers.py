"""Answers on the wire of bedrock-agent-runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import orjson

from tenantry.application.answers import Answer
from tenantry.application.grounded import GUARDRAIL_INTERVENED
from tenantry.application.reranking import Reranked
from tenantry.domain import eventstream
from tenantry.domain.chunk import Passage
from tenantry.domain.citing import Cited, citing_of
from tenantry.domain.errors import TenantryError, UpstreamFailed
from tenantry.entrypoints.http.charge import CHARGE_HEADER, charge_text
from tenantry.entrypoints.http.services import AnswerStream

SESSION_HEADER: Final = "x-amzn-bedrock-knowledge-base-session-id"
# Beside the document's own metadata, under names that no document can take from them.
DOCUMENT_ID, TITLE = "x-tenantry-document-id", "x-tenantry-title"
START, END = "x-tenantry-start", "x-tenantry-end"


def from_passage(passage: Passage) -> dict[str, Any]:
    """A retrieval result."""
    return {**_reference(passage), "documentId": passage.document_id, "score": passage.score}


def from_reranked(done: Reranked) -> dict[str, Any]:
    results = [{"index": one.index, "relevanceScore": one.score} for one in done.page.results]
    token = done.page.next_token
    return {"results": results, **({} if token is None else {"nextToken": token})}


def from_turn(session_id: str, answer: Answer, *, guarded: bool) -> dict[str, Any]:
    """`guarded`: the request named a guardrail."""
    citing = citing_of(answer.passages)
    parts = [*citing.feed(answer.answer), *citing.finish()]
    document: dict[str, Any] = {
        "sessionId": session_id,
        "output": {"text": "".join(part for part in parts if isinstance(part, str))},
        "citations": [_citation(one, answer.passages) for one in parts if isinstance(one, Cited)],
    }
    action = _action(answer, guarded)
    return document if action is None else {**document, "guardrailAction": action}


async def frames_of(stream: AnswerStream, *, guarded: bool) -> AsyncIterator[bytes]:
    """Texts as they come, each citation after its part, what the guardrail did; the last frame has
    the charge. It comes, as the frame of a failure does, once the turn has ended."""
    last: tuple[str, dict[str, Any]] | None = None
    citing = citing_of(stream.passages)
    try:
        async for text in stream.texts:
            for part in citing.feed(text):
                if last is not None:
                    yield _event(*last)
                last = _part(part, stream.passages)
        for part in citing.finish():
            if last is not None:
                yield _event(*last)
            last = _part(part, stream.passages)
    except TenantryError as failure:
        if last is not None:
            yield _event(*last)
        yield _exception(failure)
        return
    answer = stream.result
    assert answer is not None, "a stream that ended well has a result"
    action = _action(answer, guarded)
    if action is not None:
        if last is not None:
            yield _event(*last)
        last = "guardrail", {"action": action}
    headers = {}
    if answer.charge is not None:
        headers[CHARGE_HEADER] = charge_text(answer.charge, answer.currency)
    yield _event(*(last or ("output", {"text": ""})), headers)


def _part(part: str | Cited, passages: Sequence[Passage]) -> tuple[str, dict[str, Any]]:
    if isinstance(part, str):
        return "output", {"text": part}
    citation = _citation(part, passages)
    return "citation", {"citation": citation, **citation}  # older clients know the first alone


def _citation(cited: Cited, passages: Sequence[Passage]) -> dict[str, Any]:
    """A span names its first and its last code point."""
    return {
        "generatedResponsePart": {
            "textResponsePart": {
                "text": cited.text,
                "span": {"start": cited.start, "end": cited.end - 1},
            }
        },
        "retrievedReferences": [_reference(passages[number - 1]) for number in cited.numbers],
    }


def _reference(passage: Passage) -> dict[str, Any]:
    metadata = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in passage.metadata.items()
    }
    own = {
        DOCUMENT_ID: passage.document_id,
        TITLE: passage.title,
        START: passage.start,
        END: passage.end,
    }
    return {
        "content": {"type": "TEXT", "text": passage.text},
        "location": {
            "type": "CUSTOM",
            "customDocumentLocation": {"id": passage.document_id},
        },
        "metadata": metadata | own,
    }


def _action(answer: Answer, guarded: bool) -> str | None:
    if answer.stop_reason == GUARDRAIL_INTERVENED:
        return "INTERVENED"
    return "NONE" if guarded else None


def _event(kind: str, payload: dict[str, Any], more: dict[str, str] | None = None) -> bytes:
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
        **(more or {}),
    }
    return eventstream.encode(headers, orjson.dumps(payload))


def _exception(failure: TenantryError) -> bytes:
    """By the two names that botocore's model of this stream has for what breaks off here."""
    upstream = isinstance(failure, UpstreamFailed)
    kind = "dependencyFailedException" if upstream else "internalServerException"
    return eventstream.encode_exception(kind, orjson.dumps({"message": failure.message}))
