"""A notice as a mail that a person on call can read on a telephone.

First what happened, in a sentence; then how bad it is, whose and when; then what else is known, in
one order for all notices. What is not known has no line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tenantry.ports.delivery import Delivery

LINES_MAX: Final = 200
LINE_CHARACTERS_MAX: Final = 500
SUBJECT_CHARACTERS_MAX: Final = 120
_TO_SPACES = dict.fromkeys((*range(32), 127, 0x85, 0x2028, 0x2029), " ")
# Members that come first among the facts, in this order; others follow by name.
_FIRST: Final = (
    "subject", "period", "basis", "hours", "starts_at", "ends_at", "threshold_percent",
    "observed", "expected", "limit", "hard", "soft_alert_at", "forecast", "low", "high",
    "passes_on", "excess_tokens", "excess_charge",
)  # fmt: skip
_PLACES: Final = {name: place for place, name in enumerate(_FIRST)}
_SAID_ABOVE: Final = frozenset(
    {"summary", "headline", "severity", "kind", "tenant", "tenant_id", "tenant_name", "alert_id"}
)
# Of an alert: which member holds the unit of which figures.
_UNIT_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("observed", "expected", "limit", "soft_alert_at", "forecast", "low", "high"), "unit"
    ),
    "excess_charge": "currency",
}


def subject(delivery: Delivery, env: str) -> str:
    """`[tenantry local] budget threshold: acme: 80 % of a month's budget`: what, and whose, in one
    line, which is cut between words."""
    what = delivery.kind.replace(".", " ").replace("_", " ")
    body = delivery.body
    told = body.get("headline") or body.get("summary") or _tenant(delivery)[0]
    line = f"[tenantry {env}] {what}" + (f": {told}" if isinstance(told, str) and told else "")
    return _cut(line.translate(_TO_SPACES), SUBJECT_CHARACTERS_MAX)


def text(delivery: Delivery, env: str) -> Iterator[str]:
    """Lines; nested names are joined by dots."""
    body = delivery.body
    if isinstance(body.get("summary"), str):
        yield _line(body["summary"])
        yield ""
    if body.get("severity") is not None:
        yield _line(f"severity: {body['severity']}")
    yield f"kind: {delivery.kind}"
    name, tenant_id = _tenant(delivery)
    if name:
        yield _line(f"tenant: {name}" + (f" ({tenant_id})" if name != tenant_id else ""))
    yield f"time: {delivery.created_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"deployment: {env}"
    yield f"notice: {delivery.notice_id}"
    yield ""
    facts = (line for name, value in _told(body).items() for line in _facts(name, value))
    for number, line in enumerate(facts):
        if number >= LINES_MAX:
            yield "… and more; the notice has all of it"
            break
        yield line
    if isinstance(alert_id := body.get("alert_id"), str):
        yield ""
        yield _line(f"Say that someone sees to it: tenantry alerts acknowledge {alert_id}")


def _tenant(delivery: Delivery) -> tuple[str, str]:
    """Its name, or its id where that is all that is told, and its id; both empty where the notice
    is about no tenant."""
    body = delivery.body
    names = (body.get("tenant_name"), body.get("tenant"), body.get("tenant_id"))
    ids = (delivery.tenant_id, body.get("tenant"), body.get("tenant_id"))
    name = next((each for each in names if isinstance(each, str) and each), delivery.tenant_id)
    return name, next((each for each in ids if isinstance(each, str) and each), name)


def _told(body: Mapping[str, Any]) -> dict[str, Any]:
    """The facts in their order, figures of an alert with their units."""
    is_alert = "alert_id" in body
    hidden = _SAID_ABOVE | {"unit", "currency"} if is_alert else _SAID_ABOVE
    names = sorted(body.keys() - hidden, key=lambda name: (_PLACES.get(name, len(_FIRST)), name))
    told = {name: body[name] for name in names}
    if is_alert:
        if told.get("limit") == told.get("expected"):
            told.pop("limit", None)
        for name in told.keys() & _UNIT_OF.keys():
            unit = body.get(_UNIT_OF[name])
            if told[name] is not None and isinstance(unit, str):
                told[name] = f"{told[name]} {unit.replace('_', ' ')}"
    return told


def _facts(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _facts(f"{name}.{key}", value[key])
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _facts(f"{name}[{number}]", inner)
    elif isinstance(value, bool):
        yield _line(f"{name}: {'yes' if value else 'no'}")
    elif value is not None:
        yield _line(f"{name}: {value}")


def _line(words: str) -> str:
    return words.translate(_TO_SPACES)[:LINE_CHARACTERS_MAX]


def _cut(line: str, most: int) -> str:
    """At most so many characters, cut between words where there are any."""
    if len(line) <= most:
        return line
    kept = line[: most - 2]
    words = line[: most - 1].rpartition(" ")[0]
    return f"{words if len(words) > most // 2 else kept} …"
