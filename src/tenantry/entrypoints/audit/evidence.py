"""What no reply may hold: another canary's words and ids, and what the provider is paid.

Looked for in every reply of the whole audit, headers and body, whatever the attack was after.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from tenantry.entrypoints.audit.canary import Canary
from tenantry.entrypoints.audit.exchange import Reply
from tenantry.entrypoints.audit.wire import Exchange

# Names of members and headers, in JSON, in JSON inside of server-sent events, and in frames.
_MEMBER = re.compile(
    r'\\?"([A-Za-z_-]*(?:cost|markup|margin|waste|wholesale|provider)[A-Za-z_-]*)\\?"\s*:', re.I
)
_HEADER = re.compile(r"cost|markup|margin|waste|wholesale", re.I)
_NOTHING = re.compile(r"0+(?:\.0+)?(?: [A-Z]{3})?")
_CHARGE_HEADER: Final = "x-tenantry-charge"


def leak_in(exchange: Exchange, canaries: Sequence[Canary]) -> str | None:
    """What of another canary a reply holds that its caller had not said itself; None: nothing."""
    reply, said = exchange.reply, exchange.ask.said()
    if exchange.who == "operator":
        return None
    caller = next((canary for canary in canaries if canary.name == exchange.who), None)
    served = reply.tenant if reply.ok else None
    if served is not None and (caller is None or served != caller.id):
        return f"{exchange.ask.operation} was served as another tenant"
    text = _whole(reply)
    for canary in canaries:
        if canary is caller:
            continue
        for secret in canary.secrets:
            if secret in text and secret not in said:
                return f"{exchange.ask.operation} told of canary {canary.name}"
    return None


def cost_in(exchange: Exchange) -> str | None:
    """A name or an amount of the provider's book in a tenant's reply; None: nothing.

    The canaries' plan has a markup of 0, so that every charge of theirs is nothing: any other
    amount would be cost.
    """
    reply = exchange.reply
    if exchange.who == "operator":
        return None
    for name in reply.headers:
        if _HEADER.search(name):
            return f"header {name}"
    charge = reply.headers.get(_CHARGE_HEADER)
    if charge is not None and not _NOTHING.fullmatch(charge):
        return f"header {_CHARGE_HEADER} has an amount"
    said = exchange.ask.said()
    for member in _MEMBER.findall(reply.text):
        if f'"{member}"' not in said:
            return f"member {member}"
    return None


def leaks(exchanges: Iterable[Exchange], canaries: Sequence[Canary]) -> list[str]:
    return [told for item in exchanges if (told := leak_in(item, canaries)) is not None]


def _whole(reply: Reply) -> str:
    return "\n".join((*(f"{k}: {v}" for k, v in reply.headers.items()), reply.text))
