"""Refusals of OpenAI requests, which say in `error.param` which parameter they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec

from tenantry.domain.errors import BadRequest, TenantryError

# As msgspec words it: ``Expected `int`, got `str` - at `$.top_k` ``.
_WHERE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_NAME_CHARS_MAX: Final = 200  # of a name that a client made up
T = TypeVar("T")


def refused(param: str, why: str) -> BadRequest:
    """The refusal of one parameter, which its message begins with."""
    return BadRequest(f"`{param}` {why}", param=param)


def unknown(param: str) -> BadRequest:
    """In OpenAI's own words, which programs look for."""
    param = param[:_NAME_CHARS_MAX]
    return BadRequest(f"Unrecognized request argument supplied: {param}", param=param)


@contextmanager
def naming(names: Mapping[str, str]) -> Iterator[None]:
    """Says which parameter a refusal is about that tells in the gateway's own words what it is `of`
    (in its details): each API has its own names of them."""
    try:
        yield
    except TenantryError as refusal:
        param = names.get(str(refusal.details.get("of")))
        if param is not None:
            refusal.details["param"] = param
        raise


def read(kind: type[T], value: Any) -> T:
    """`value` as the Struct `kind`. Raises `BadRequest` that names the parameter."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from None


def _explained(message: str) -> BadRequest:
    match = _WHERE.fullmatch(message)
    assert match is not None, "whatever is said matches"
    what, where = match["what"], match["where"] or ""
    if found := _UNKNOWN.fullmatch(what):
        return unknown(_inside(where, found["name"]))
    if found := _MISSING.fullmatch(what):
        missing = _inside(where, found["name"])
        return BadRequest(f"Missing required parameter: '{missing}'.", param=missing)
    param = where.partition("[...]")[0]  # a member that only its client has named
    return BadRequest(f"{what} at `{where}`." if where else f"{what}.", param=param or None)


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
