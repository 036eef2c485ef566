"""JSON bodies: typed, bounded, and clear about what is wrong."""

import contextlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from tests.support.processor_time import processor_seconds

from tenantry.application.exact_json import without_strings, write
from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.json_body import (
    LONG_IN,
    LONG_INTEGERS_MAX,
    NESTING_MAX,
    VALUES_MAX,
    parse_object,
    to,
    zoned,
)


class Asked(Struct, forbid_unknown_fields=True):
    query: str
    top_k: int = 5
    parts: list[str] = []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"query": 1}, "Expected `str`, got `int` at `query`."),
        ({"query": "x", "top_k": True}, "Expected `int`, got `bool` at `top_k`."),
        ({"query": "x", "parts": ["a", 1]}, "Expected `str`, got `int` at `parts[1]`."),
        ({"query": "x", "other": 1}, "Object contains unknown field `other`."),
        ({}, "Object missing required field `query`."),
    ],
)
def test_an_error_names_the_member(value: Any, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        to(Asked, value)
    assert caught.value.message == message


def test_an_error_names_the_place() -> None:
    with pytest.raises(BadRequest, match="line 2, column 7"):
        parse_object(b'{\n  "a" 1}')


@pytest.mark.parametrize("piece", [b"[]", b"{}", b'"ab"', b"[1,2]", b'{"a":"b"}'])
def test_bodies_that_would_fill_memory_are_not_parsed(piece: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON values"):
        parse_object(b'{"a":[' + piece + (b"," + piece) * VALUES_MAX + b"]}")


@pytest.mark.parametrize("pair", [(b'{"a":', b"}"), (b"[", b"]")])
def test_what_is_read_can_be_written_again(pair: tuple[bytes, bytes]) -> None:
    """The object itself is a level; a request was admitted before it could not be passed on."""

    def nested(levels: int) -> bytes:
        return b'{"x":' + pair[0] * (levels - 1) + b"1" + pair[1] * (levels - 1) + b"}"

    assert orjson.dumps(parse_object(nested(NESTING_MAX))) == nested(NESTING_MAX)
    for levels in (NESTING_MAX + 1, 260, 1_000):
        with pytest.raises(BadRequest, match="nested deeper"):
            parse_object(nested(levels))


@pytest.mark.parametrize("rubbish", [b'"\\', b'\\"', b'",', b"[", b'{"a":'])
def test_rubbish_is_refused_without_looking_twice(rubbish: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_object(b"{" + rubbish * 2_000_000 + b",[" * VALUES_MAX)


@pytest.mark.parametrize(
    ("open_", "unit", "close"),
    [(b'{"query":["', b'","', b'"]}'), (b'{"a":0.', b"1", b"}"), (b'{"a":"', b'\\",', b'"}')],
)
def test_no_body_keeps_the_loop_for_long(open_: bytes, unit: bytes, close: bytes) -> None:
    """Seconds, where each string or digit was looked at by itself: more than Python takes to look
    at each byte, on whichever machine."""
    body = open_ + unit * (25_000_000 // len(unit)) + close
    part = body[: len(body) // 25]

    def read() -> None:
        with contextlib.suppress(BadRequest):
            parse_object(body, exact=True)

    of_each = 25 * processor_seconds(lambda: [byte == 0 for byte in part])
    assert processor_seconds(read) < 1.5 * of_each


_VALUES = st.recursive(
    st.none() | st.integers(-5, 5) | st.text('a"\\,[{\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('"\\:,'), inner),
)


@given(_VALUES)
def test_what_stands_outside_of_strings(value: Any) -> None:
    def outside(value: Any) -> str:
        if isinstance(value, dict):
            pairs = (f"{outside(key)}:{outside(item)}" for key, item in value.items())
            return f"{{{','.join(pairs)}}}"
        if isinstance(value, list):
            return f"[{','.join(map(outside, value))}]"
        return '"' if isinstance(value, str) else orjson.dumps(value).decode()

    assert without_strings(orjson.dumps(value)).decode() == outside(value)


def test_punctuation_inside_a_text_is_text() -> None:
    text = 'a,[{"\\,' * VALUES_MAX
    assert parse_object(orjson.dumps({"text": text})) == {"text": text}


def test_an_escaped_backslash_is_no_nul() -> None:
    assert parse_object(rb'{"a": "\\u0000"}') == {"a": "\\u0000"}
    for body in (rb'{"a": "\u0000"}', rb'{"\u0000": 1}', rb'{"a": [{"b": "\\\u0000"}]}'):
        with pytest.raises(BadRequest, match="NUL"):
            parse_object(body)


@given(st.text())
def test_texts_come_through(text: str) -> None:
    body = orjson.dumps({"a": text})
    if "\x00" in text:
        with pytest.raises(BadRequest):
            parse_object(body)
    else:
        assert parse_object(body) == {"a": text}


def test_an_instant_is_taken_to_utc() -> None:
    given = datetime.fromisoformat("2026-11-29T01:00:00+02:00")
    assert zoned(given, "at").isoformat() == "2026-11-28T23:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["2026-11-29T01:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"]
)
def test_an_instant_that_no_store_takes_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="`at`"):
        zoned(datetime.fromisoformat(text), "at")


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (b"9223372036854775807", True),
        (b"-9223372036854775808", True),
        (b"1e19", True),
        (b"6.02214076e23", True),
        (b"12345678901234567890123.5", True),
        (b"0.12345678901234567890123", True),
        (b"1e-0000000000000000000000019", True),
        (b'"98765432109876543211\\" 98765432109876543211"', True),
        (b"9223372036854775808", False),
        (b"-9223372036854775809", False),
        (b"98765432109876543211", False),
        (b"[1,-" + b"9" * 300 + b"]", False),
    ],
)
def test_no_whole_number_is_rounded_unseen(number: bytes, exact: bool) -> None:
    body = b'{"a":"x 98765432109876543211","b":' + number + b"}"
    if exact:
        assert parse_object(body) == orjson.loads(body)
        assert parse_object(body, exact=True) == orjson.loads(body)
    else:
        with pytest.raises(BadRequest, match="64 bits"):
            parse_object(body, exact=True)


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (b"18446744073709551615", True),
        (b"100000000000000000000", True),  # which leaves as 1e20
        (b"6.02214076e23", True),
        (b"0.12345678901234567890123", True),
        (b'"98765432109876543210"', True),
        (b"18446744073709551616", False),
        (b"-9223372036854775809", False),
        (b"98765432109876543210", False),
        (b"9" * 308, False),
    ],
)
def test_no_whole_number_becomes_another(number: bytes, kept: bool) -> None:
    body = b'{"a": [{"b": -1, "c":' + number + b"}]}"
    if kept:
        sent = orjson.dumps(parse_object(body))
        assert json.loads(sent, parse_float=Decimal) == json.loads(body, parse_float=round_once)
    else:
        with pytest.raises(BadRequest, match="send it as a string"):
            parse_object(body)


def round_once(number: str) -> Decimal:
    """A number with a point or an exponent, as the double that everybody reads."""
    return Decimal(repr(float(number)))


LONG = 987654321098765432109876543210


@pytest.mark.parametrize("member", sorted(LONG_IN))
@pytest.mark.parametrize("number", [LONG, -LONG, 2**64, -(2**63) - 1, 10**20, int("9" * 308)])
def test_what_a_model_made_up_is_passed_on_as_it_is(member: str, number: int) -> None:
    inner = {"id": number, "far": [0.1, 1e300, -1, "é", str(LONG), None, True], "least": 2**63}
    body = json.dumps({member: [{"input": inner}], "other": 2**64 - 1}).encode()
    with contextlib.suppress(BadRequest):
        assert number == 10**20 == parse_object(body)[member][0]["input"]["id"]
    value = parse_object(body, long_in=LONG_IN)
    assert json.dumps(value) == body.decode(), "no number became a double"
    assert json.dumps(json.loads(write(value))) == body.decode()


@pytest.mark.parametrize(
    "body",
    [
        {"inferenceConfig": {"maxTokens": LONG}, "messages": []},
        {"messages": [{"input": LONG}], "max_tokens": LONG},
        {"messages": [{"input": 10**20}], "a": [{"b": LONG}]},
    ],
)
def test_numbers_that_are_counted_with_are_as_short_as_ever(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="send it as a string"):
        parse_object(json.dumps(body).encode(), long_in=LONG_IN)


def test_a_round_number_that_is_counted_with_is_read_as_ever() -> None:
    body = b'{"messages": [%d], "max_tokens": %d}' % (LONG, 10**20)
    value = parse_object(body, long_in=LONG_IN)
    assert value == {"messages": [LONG], "max_tokens": 1e20}
    assert isinstance(value["max_tokens"], float)


@pytest.mark.parametrize(
    "rubbish",
    ["NaN", "Infinity", "-Infinity", "9" * 310, "-" + "9" * 4_301, "9" * 1_000_000, "1e400", "01"],
    ids=lambda text: text[:9],
)
def test_beside_long_integers_what_is_no_number_is_refused(rubbish: str) -> None:
    body = f'{{"messages": [{LONG}, {rubbish}]}}'.encode()
    with pytest.raises(BadRequest, match="not valid JSON"):
        parse_object(body, long_in=LONG_IN)


def test_beside_long_integers_bodies_are_bounded_as_ever() -> None:
    deep = b'{"messages":' + b"[" * NESTING_MAX + str(LONG).encode() + b"]" * NESTING_MAX + b"}"
    for body, told in (
        (deep, "nested deeper"),
        (b'{"messages":[%d,"\\u0000"]}' % LONG, "NUL"),
        (b'{"messages":[%d,"\\ud800"]}' % LONG, "not valid JSON"),
    ):
        with pytest.raises(BadRequest, match=told):
            parse_object(body, long_in=LONG_IN)


@pytest.mark.parametrize("member", ["messages", "additionalModelRequestFields"])
@pytest.mark.parametrize("number", [10**20, -(2**63) - 1, 10**90])
def test_long_integers_are_few(member: str, number: int) -> None:
    """Each costs its worker time, before any limit of a plan is asked."""

    def body(count: int) -> bytes:
        return json.dumps({member: [number] * count, "near": [2**63] * 5_000}).encode()

    if member in LONG_IN:
        assert parse_object(body(LONG_INTEGERS_MAX), long_in=LONG_IN)[member][-1] == number
    with pytest.raises(BadRequest, match="more than 1,000 integers"):
        parse_object(body(LONG_INTEGERS_MAX + 1), long_in=LONG_IN)


@given(_VALUES)
def test_what_is_read_is_what_is_written(value: Any) -> None:
    told = {"messages": [value, LONG]}
    read = parse_object(json.dumps(told).encode(), long_in=LONG_IN)
    assert read == told
    assert json.loads(write(read)) == told
