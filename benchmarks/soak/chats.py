"""Chats and embeddings: plain, streamed, left in the middle, sent twice, too large."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from tests.support.stack import MODEL

from benchmarks.soak import streams
from benchmarks.soak.caller import Caller
from benchmarks.soak.streams import Streamed
from benchmarks.soak.wire import Answer

EMBEDDING: Final = "amazon.titan-embed-text-v2:0"
CHAT: Final = "/v1/chat/completions"
# Of one body: more than the model's window, and beyond what a worker takes.
_TOO_LONG_BYTES: Final = 1_500_000
_TOO_LARGE_BYTES: Final = 25_000_001
# What refuses it first: the model, or a limit that it would not fit into.
_TOO_LONG: Final = ("upstream_refused", "larger_than_limit", "budget_exceeded", "bad_request")
_LEAVE_BYTES_MAX: Final = 3_000


def converse(caller: Caller) -> None:
    answer = caller.ask("converse", "bedrock", "POST", _path("converse"), _bedrock(caller),
                        headers=caller.attributes())  # fmt: skip
    if answer is not None:
        said = json.loads(answer.body)["output"]["message"]["content"][0]["text"]
        _must_quote(caller, "converse", answer, said)
        caller.told_charge(answer)


def converse_stream(caller: Caller) -> None:
    path, headers = _path("converse-stream"), caller.attributes()
    answer = caller.ask("converse-stream", "bedrock", "POST", path, _bedrock(caller),
                        headers=headers)  # fmt: skip
    if answer is not None:
        _ended(caller, "converse-stream", answer, streams.of_bedrock(answer.body))


def chat(caller: Caller) -> None:
    answer = caller.ask("chat", "openai", "POST", CHAT, _openai(caller),
                        headers=caller.attributes())  # fmt: skip
    if answer is not None:
        said = json.loads(answer.body)["choices"][0]["message"]["content"]
        _must_quote(caller, "chat", answer, said)
        caller.told_charge(answer)


def chat_stream(caller: Caller) -> None:
    body = {**_openai(caller), "stream": True, "stream_options": {"include_usage": True}}
    answer = caller.ask("chat-stream", "openai", "POST", CHAT, body, headers=caller.attributes())
    if answer is not None:
        _ended(caller, "chat-stream", answer, streams.of_openai(answer.body))


def left(caller: Caller) -> None:
    """A stream, or now and then a plain answer, whose client hangs up somewhere."""
    leave = caller.chance.choice((0, caller.chance.randrange(_LEAVE_BYTES_MAX)))
    operation = caller.chance.choice(("converse", "converse-stream", "converse-stream"))
    caller.ask("left", "bedrock", "POST", _path(operation), _bedrock(caller), leave_after=leave)


def embeddings(caller: Caller) -> None:
    texts = [f"Text {caller.chance.random()}" for _ in range(caller.chance.randint(1, 3))]
    body = {"model": EMBEDDING, "input": texts}
    answer = caller.ask("embeddings", "openai", "POST", "/v1/embeddings", body)
    if answer is not None:
        if len(json.loads(answer.body)["data"]) != len(texts):
            caller.broke("vectors are missing", "embeddings", answer)
        caller.told_charge(answer)


def twice(caller: Caller) -> None:
    """The same request under one idempotency key: done once, answered alike."""
    body, headers = _openai(caller), caller.fresh_key()
    first = caller.ask("twice", "openai", "POST", CHAT, body, headers=headers)
    if first is None:
        return
    caller.told_charge(first)
    again = caller.ask("twice", "openai", "POST", CHAT, body, headers=headers)
    if again is not None:
        replayed = again.headers.get("idempotent-replayed") == "true"
        if not replayed or again.body != first.body:
            caller.broke("done twice under one key", "twice", again, repr(first.body[:300]))


def too_long(caller: Caller) -> None:
    body = _openai(caller, "word " * (_TOO_LONG_BYTES // 5))
    answer = caller.ask("too long", "openai", "POST", CHAT, body, may=_TOO_LONG)
    if answer is not None:
        caller.broke("served in place of a refusal", "too long", answer)


def too_large(caller: Caller) -> None:
    """A body over the bound; the gateway may close before it has all of it."""
    caller.ask("too large", "openai", "POST", CHAT, b" " * _TOO_LARGE_BYTES,
               headers={"content-type": "application/json"}, must="too_large")  # fmt: skip


def _ended(caller: Caller, kind: str, answer: Answer, streamed: Streamed) -> None:
    """A stream came whole over the wire: it has its end, or an error that has a reason."""
    if foreign := caller.member.foreign_words(streamed.text.encode()):
        caller.broke("foreign words", kind, answer, ", ".join(sorted(foreign)))
    if streamed.error is not None:
        if not caller.explained(answer, streamed.codes):
            caller.broke("stream failed without a reason", kind, answer, streamed.error)
    elif not streamed.is_whole:
        caller.broke("stream without an end", kind, answer, repr(answer.body[-300:]))
    else:
        _must_quote(caller, kind, answer, streamed.text)
        caller.told_charge(answer, streamed.charge)


def _must_quote(caller: Caller, kind: str, answer: Answer, said: str) -> None:
    """The emulator quotes what stands in the prompt, so that a foreign prompt would be seen."""
    if not said:
        caller.broke("an empty answer", kind, answer)
    elif foreign := caller.member.foreign_words(said.encode()):
        caller.broke("foreign words", kind, answer, ", ".join(sorted(foreign)))


def _path(operation: str) -> str:
    return f"/model/{quote(MODEL, safe='')}/{operation}"


def _words(caller: Caller) -> str:
    """A passage with the tenant's word, some more, and a question that it answers."""
    number = caller.chance.randrange(50)  # few, so that a cache of answers is hit
    filling = ", ".join(f"clause {n} binds both" for n in range(caller.chance.randrange(20)))
    return (
        f'<passage id="1">The word of house {number} is {caller.member.canary}.</passage>\n'
        f'<passage id="2">{filling}</passage>\nWhat is the word of house {number}?'
    )


def _bedrock(caller: Caller) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": [{"text": _words(caller)}]}],
        "inferenceConfig": {"maxTokens": caller.chance.choice((64, 200, 400))},
    }


def _openai(caller: Caller, words: str | None = None) -> dict[str, Any]:
    message = {"role": "user", "content": words or _words(caller)}
    return {"model": MODEL, "messages": [message], "max_tokens": 100}
