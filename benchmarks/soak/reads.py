"""What a tenant reads of itself, and requests that must be refused."""

from __future__ import annotations

from typing import Final

from benchmarks.soak.caller import Caller
from benchmarks.soak.chats import CHAT

_PAGES: Final = (
    "/v1/usage?group_by=model",
    "/v1/usage?group_by=day,user",
    "/v1/usage?group_by=tag,run",
    "/v1/limits",
    "/v1/invoices",
    "/v1/budgets",
    "/v1/keys",
    "/v1/documents?limit=20",
)


def read(caller: Caller) -> None:
    caller.ask("read", "tenantry", "GET", caller.chance.choice(_PAGES))


def models(caller: Caller) -> None:
    caller.ask("models", "openai", "GET", "/v1/models")


def wrong_key(caller: Caller) -> None:
    caller.ask("wrong key", "openai", "POST", CHAT, {}, bearer="tk_no_such_key", must="key_wrong")


def unknown_model(caller: Caller) -> None:
    body = {"model": "no-such-model", "messages": [{"role": "user", "content": "Hello."}]}
    caller.ask("unknown model", "openai", "POST", CHAT, body, must="model_not_found")


def bad_body(caller: Caller) -> None:
    caller.ask("bad body", "tenantry", "POST", "/v1/search", {"querry": 1}, must="bad_request")
