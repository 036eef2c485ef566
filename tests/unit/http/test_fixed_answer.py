"""Answers that stay the same: compressed for who takes that, and not sent again to who has them."""

from __future__ import annotations

import gzip

import pytest

from tenantry.entrypoints.http.fixed_answer import FixedAnswer

BODY = b"The same. " * 1_000
ANSWER = FixedAnswer(BODY, {"content-type": "text/plain"})
PLAIN = ANSWER.to({}).headers["etag"]
PACKED = ANSWER.to({"accept-encoding": "gzip"}).headers["etag"]


def test_it_is_whole_and_is_to_be_asked_for_again() -> None:
    found = ANSWER.to({})
    assert (found.status, found.body) == (200, BODY)
    assert found.headers == {
        "content-type": "text/plain",
        "x-content-type-options": "nosniff",
        "vary": "accept-encoding",
        "cache-control": "no-cache",
        "etag": PLAIN,
    }
    assert FixedAnswer(BODY, {}).to({}).headers["etag"] == PLAIN, "of each worker"
    assert FixedAnswer(BODY + b".", {}).to({}).headers["etag"] != PLAIN


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("gzip; q=1.000", True),
        ("gzip;q=0", False),
        ("br, gzip ; q=0.00", False),
        ("x-gzip, br", False),
        ("*", False),
        ("", False),
    ],
)
def test_who_takes_gzip_gets_that(accepted: str, packed: bool) -> None:
    found = ANSWER.to({"accept-encoding": accepted})
    assert (found.headers.get("content-encoding") == "gzip") == packed
    assert found.headers["etag"] == (PACKED if packed else PLAIN)
    assert (gzip.decompress(found.body) if packed else found.body) == BODY
    assert PACKED != PLAIN, "they are other bytes"


@pytest.mark.parametrize(
    ("known", "same"),
    [
        (PLAIN, True),
        (f"W/{PLAIN}", True),
        (f'"other", {PLAIN}', True),
        ("*", True),
        (PACKED, False),
        ('"other"', False),
        (PLAIN.strip('"'), False),
        ("", False),
    ],
)
def test_who_has_it_is_told_so(known: str, same: bool) -> None:
    found = ANSWER.to({"if-none-match": known})
    assert (found.status, found.body) == ((304, b"") if same else (200, BODY))
    assert found.headers["etag"] == PLAIN
    if same:
        assert found.headers.keys() == {"etag", "vary", "cache-control"}
    assert ANSWER.to({"if-none-match": known, "accept-encoding": "gzip"}).status == (
        304 if known in (PACKED, "*") else 200
    )
