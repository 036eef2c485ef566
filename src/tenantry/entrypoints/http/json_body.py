"""Request bodies: JSON in, typed out, with an error that says where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
import orjson

from tenantry.application import exact_json
from tenantry.domain.errors import BadRequest

VALUES_MAX: Final = 250_000  # 25 MB of `[],` would become half a gigabyte of objects
# orjson reads 1,024 levels and writes 254; upstream's request wraps what was read in a few more.
NESTING_MAX: Final = 128
LONG_INTEGERS_MAX: Final = 1_000  # beyond 64 bits: each is looked at digit by digit
# Members of a chat in which models and tools make up numbers, and nobody here counts with them.
LONG_IN: Final = frozenset({"messages", "tools", "toolConfig"})
_NUL_ESCAPE: Final = b"\\u0000"
_INTEGER_BYTES_MAX: Final = len(str(-(2**63)))
_TOLD_MAX: Final = 40  # characters of a number in a message
T = TypeVar("T")


def parse_object(
    body: bytes, *, exact: bool = False, long_in: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A JSON object. Raises `BadRequest` for anything else, for NUL, lone surrogates, more than
    `VALUES_MAX` values or `NESTING_MAX` levels, and for integers that were read, and would be
    passed on, as another number. The members `long_in` keep all digits of theirs, up to 308, which
    `exact_json.write` passes on. `exact`: raises as `check_integers` does, which refuses more."""
    if not body:
        raise BadRequest("The request body is empty; a JSON object is expected.")
    check_values(body, "The request body")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # orjson refuses lone surrogates, NaN, and nesting deeper than 1,024.
        raise BadRequest(
            f"The request body is not valid JSON: {error.msg} at line {error.lineno}, "
            f"column {error.colno}."
        ) from None
    if not isinstance(value, dict):
        raise BadRequest("The request body must be a JSON object.")
    if _NUL_ESCAPE in body:
        _refuse_nul(value)
    if body.count(b"[") + body.count(b"{") > NESTING_MAX:
        check_nesting(value)
    if exact:
        check_integers(body)
        return value
    return _with_long_integers(value, body, long_in)


def check_values(text: bytes, what: str) -> None:
    """Raises `BadRequest` for JSON of more than `VALUES_MAX` values, before any is made."""
    if len(text) > VALUES_MAX and _holds_too_many(text):
        raise BadRequest(f"{what} holds more than {VALUES_MAX:,} JSON values.")


def check_integers(body: bytes) -> None:
    """Raises `BadRequest` for integers beyond 64 bits: they are read as the nearest double, which
    nobody can tell from one that was sent."""
    for found in exact_json.long_integers(body):
        if len(found) > _INTEGER_BYTES_MAX or not -(2**63) <= int(found) < 2**63:
            raise BadRequest("An integer of the body does not fit 64 bits; 1e19 would.")


def _with_long_integers(
    value: dict[str, Any], body: bytes, long_in: frozenset[str]
) -> dict[str, Any]:
    """`value` as it was read, but for the members `long_in`, where there are such integers."""
    beyond = 0
    for found in exact_json.long_integers(body):
        beyond += len(found) > _INTEGER_BYTES_MAX or not exact_json.fits(int(found))
        if beyond > LONG_INTEGERS_MAX:
            raise BadRequest(
                f"The request body holds more than {LONG_INTEGERS_MAX:,} integers that 64 bits do "
                "not hold: send them as strings."
            )
    if not beyond:
        return value
    exact: dict[str, Any] = exact_json.exactly(value, body)
    for name, member in exact.items():
        if name not in long_in:
            _refuse_rounded(member)
    return {name: exact[name] if name in long_in else value[name] for name in value}


def _refuse_rounded(value: Any) -> None:
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, int) and not exact_json.fits(item):
            found = str(item)
            leaves = orjson.dumps(orjson.loads(found)).decode()
            if Decimal(leaves) != item:
                told = found if len(found) <= _TOLD_MAX else f"of {len(found)} digits"
                raise BadRequest(
                    f"The request body holds the integer {told}, which 64 bits do not: send it as "
                    "a string."
                )


def check_nesting(value: Any) -> None:
    """Raises `BadRequest` for more than `NESTING_MAX` levels, which nobody could pass on."""
    level = [value]
    for _ in range(NESTING_MAX):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    if any(isinstance(item, (dict, list)) for item in level):
        raise BadRequest(f"JSON is nested deeper than {NESTING_MAX} levels.")


def to(kind: type[T], value: Any) -> T:
    """`value` as the Struct `kind`. Raises `BadRequest` that names the member."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(_explain(str(error))) from None


def zoned(value: datetime, name: str) -> datetime:
    """An instant of a body, in UTC. Raises `BadRequest` for one without a zone or out of range."""
    if value.tzinfo is None:
        raise BadRequest(f"`{name}` needs a zone, such as Z.")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise BadRequest(f"`{name}` is out of range.") from None


def _holds_too_many(body: bytes) -> bool:
    """Punctuation counts values; it is looked for outside of strings only where it must be. A value
    has two strings at most, its name and itself: many more are too many without a closer look."""
    if _values(body) <= VALUES_MAX:
        return False
    quotes = body.count(b'"') - body.count(b'\\"')
    return quotes > 4 * VALUES_MAX or _values(exact_json.without_strings(body)) > VALUES_MAX


def _values(body: bytes) -> int:
    return 1 + body.count(b"[") + body.count(b"{") + body.count(b",")


def _explain(message: str) -> str:
    """msgspec's ``Expected `int`, got `str` - at `$.top_k` `` in a caller's words."""
    text, _, where = message.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    return f"{text} at `{where}`." if where else f"{text}."


def _refuse_nul(value: dict[str, Any]) -> None:
    """The escape may have been text itself (`\\\\u0000`): look at what was meant."""
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise BadRequest("The request body holds a NUL character.")
        elif isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
