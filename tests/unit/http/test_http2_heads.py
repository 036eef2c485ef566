"""What of a stream's fields is a request, and what two readers could take for different ones."""

from __future__ import annotations

import pytest

from tenantry.domain.sigv4 import SignatureProblem, parse_authorization
from tenantry.entrypoints.http.wire.http2.head import Field, are_fields, read_head
from tenantry.entrypoints.http.wire.limits import WireLimits

LIMITS = WireLimits()
FIRST: dict[bytes, bytes] = {
    b":method": b"POST", b":scheme": b"https", b":path": b"/a?b", b":authority": b"x",
}  # fmt: skip


def head_of(changed: dict[bytes, bytes], *more: Field) -> tuple[int | None, str]:
    head = read_head([*{**FIRST, **changed}.items(), *more], LIMITS)
    return head.refusal and head.refusal.status, head.raw_path


@pytest.mark.parametrize(
    "path",
    [
        b"http://other/a", b"HTTPS://other/a", b"https://other", b"//x\t", b"a", b"", b"?a", b"#",
        b"/a#b", b"/a b", b"/a\r\nhost: y", b"/a\n", b"/a\x00", b"/a\x7f", b"*a", b"*\n", b"\\a",
    ],
)  # fmt: skip
def test_a_path_is_one(path: bytes) -> None:
    """Absolute ones are HTTP/1.1's alone (RFC 9113 §8.3.1): who chose a route by the first
    characters of this did not choose ours."""
    assert head_of({b":path": path}) == (400, "")


@pytest.mark.parametrize("path", [b"/", b"/a", b"//a", b"/a%2F../b;c", b"/\xc3\xa9", b"*"])
def test_a_path_is_kept_as_it_came(path: bytes) -> None:
    assert head_of({b":path": path}) == (None, path.decode("latin-1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b":scheme", b""), (b":scheme", b"ht tp"), (b":scheme", b"http\r\nx: y"),
        (b":scheme", b"http://x"), (b":scheme", b"a" * 40),
        (b":method", b""), (b":method", b"P T"), (b":method", b"POST\r\n"), (b":method", b"A" * 40),
        (b":authority", b"x\r\ny: z"), (b":authority", b"x\x00"), (b":authority", b"x "),
        (b":authority", b"\tx"),
    ],
)  # fmt: skip
def test_the_first_line_is_checked_in_all_its_parts(name: bytes, value: bytes) -> None:
    assert head_of({name: value})[0] == 400


@pytest.mark.parametrize("name", [b":authority", b"x"])
def test_what_becomes_a_header_counts_as_one(name: bytes) -> None:
    value = b"y" * (LIMITS.header_bytes - 50)
    changed, more = ({name: value}, ()) if name[:1] == b":" else ({}, ((name, value),))
    assert head_of(changed, *more)[0] is None
    value = b"y" * LIMITS.header_bytes
    changed, more = ({name: value}, ()) if name[:1] == b":" else ({}, ((name, value),))
    assert head_of(changed, *more)[0] == 431


@pytest.mark.parametrize(
    "field",
    [
        (b":authority", b"x"), (b":path", b"/b"), (b":status", b"200"), (b":protocol", b"a"),
        (b"Host", b"x"), (b"host", b"y"), (b"host", b""), (b"", b"a"), (b"a b", b"c"),
        (b"a:", b"b"),
        (b"\xe9", b"a"), (b"a", b"b\rc"), (b"a", b" b"), (b"a", b"b "), (b"a", b"\tb"),
        (b"a", b"b\t"), (b"a", b" "), (b"a", b"\t"), (b"cookie", b"a=b "),
        (b"connection", b""), (b"te", b"trailers, gzip"),
        (b"upgrade", b"h2c"), (b"keep-alive", b"1"), (b"proxy-connection", b"close"),
        (b"transfer-encoding", b"identity"), (b"content-length", b"+1"),
        (b"content-length", b"1,1"),
        (b"content-length", b"\xb2"), (b"content-length", b""), (b"content-length", b"0x1"),
    ],
)  # fmt: skip
def test_fields_that_are_none(field: Field) -> None:
    assert head_of({}, (b"a", b"b"), field)[0] == 400


@pytest.mark.parametrize("value", [b"", b"b", b"a b", b"a \t b", b"\xa0b\x85", b"\xff"])
def test_a_value_is_kept_as_it_came(value: bytes) -> None:
    """What Unicode takes for white space is part of it, as on HTTP/1.1."""
    head = read_head([*FIRST.items(), (b"a", value)], LIMITS)
    assert head.refusal is None and head.headers["a"] == value.decode("latin-1")
    assert are_fields([(b"a", value)])


@pytest.mark.parametrize(
    "field",
    [
        (b":path", b"/"), (b":x", b"a"), (b":", b"a"), (b"A", b"a"), (b"a b", b"c"), (b"", b"a"),
        (b"a", b"b\r\nc: d"), (b"a", b"b\n"), (b"a", b" b"), (b"a", b"b\t"), (b"a", b"\x00"),
        (b"connection", b"close"), (b"te", b"gzip"), (b"upgrade", b"h2c"),
    ],
)  # fmt: skip
def test_a_trailer_has_no_field_that_a_head_has_not(field: Field) -> None:
    assert are_fields([(b"a", b"b"), (b"te", b"trailers")])
    assert not are_fields([(b"a", b"b"), field])


def test_only_http_2_has_an_authority_to_sign() -> None:
    """And no header of that name, which the signature would be over and nobody would read."""
    signed = (
        "AWS4-HMAC-SHA256 Credential=AKIA/20261130/us-east-1/bedrock/aws4_request,"
        " SignedHeaders={}, Signature=" + "0" * 64
    )
    for name in (":path", ":method", ":authority2", ":"):
        assert parse_authorization(signed.format(name)) is SignatureProblem.MALFORMED
    head = read_head([*FIRST.items(), (b"host", b"x")], LIMITS)
    assert head.items == [("host", "x"), (":authority", "x")]
    head = read_head([*list(FIRST.items())[:3], (b"host", b"x")], LIMITS)
    assert head.items == [("host", "x")] and head.refusal is None
