"""Objects of batches over S3's wire: in pieces, and never waited for beyond a request's bound."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.ports import free_port
from tests.support.s3_server import S3Server, s3_server

from tenantry.adapters.batch_buckets import buckets as module
from tenantry.adapters.batch_buckets.buckets import UriBuckets
from tenantry.bootstrap.failures import told
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.ports.model import Upstream

ACCOUNT = "111111111111"
UPSTREAM = Upstream(ACCOUNT, "us-east-1", None, ACCOUNT)


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


def at(url: str) -> UriBuckets:
    keys = {"access_key_id": "AKIATEST", "secret_access_key": "secret"}
    return UriBuckets({ACCOUNT: {**keys, "endpoint": url, "allow_http": "true"}}, None)


def got(buckets: UriBuckets, key: str) -> bytes:
    return asyncio.run(buckets.get(UPSTREAM, f"s3://bbb/{key}"))


def test_an_object_is_read_in_pieces(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 10)
    for body in (b"", b"0123456789", b"0123456789" * 3 + b"end"):
        server.objects["bbb/x/records.out"] = body
        assert got(at(server.url), "x/records.out") == body
    monkeypatch.setattr(module, "OBJECT_BYTES_MAX", 32)
    with pytest.raises(Unavailable, match="larger than 32 bytes"):
        got(at(server.url), "x/records.out")


def test_what_a_folder_holds_is_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 10)
    buckets = UriBuckets({}, tmp_path)
    for body in (b"", b"0123456789" * 3 + b"end"):
        asyncio.run(buckets.put(UPSTREAM, "s3://bbb/x/y", body))
        assert got(buckets, "x/y") == body
    asyncio.run(buckets.delete(UPSTREAM, "s3://bbb/x/y"))
    with pytest.raises(NotFound):
        got(buckets, "x/y")


def test_a_bucket_says_what_it_denies(server: S3Server) -> None:
    with pytest.raises(NotFound):
        got(at(server.url), "x/absent")
    server.fails = True
    with pytest.raises(Unavailable, match="denies"):
        got(at(server.url), "x/records.out")


@pytest.mark.parametrize("denied", [False, True])
def test_a_failure_is_told_in_a_line_without_what_was_asked_for(
    server: S3Server, denied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.RETRY, "max_retries", 0)
    server.fails = denied
    url = server.url if denied else f"http://127.0.0.1:{free_port()}"
    put = at(url).put(UPSTREAM, "s3://bbb/jobs/named/records.jsonl", b"x")
    with pytest.raises(Unavailable) as refused:
        asyncio.run(put)
    for text in (told(refused.value), str(refused.value.__cause__)):
        assert text is not None and "\n" not in text and len(text) < 400
        assert not any(word in text for word in ("http://", "named", "Debug source", "{"))
    assert str(refused.value.__cause__).startswith("s3://bbb in us-east-1: "), "it says which"
    if not denied:
        line = "The bucket cannot be reached: s3://bbb in us-east-1: error sending request"
        assert told(refused.value) == line


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_amazon_is_not_asked_for_a_placement_that_is_answered_here(
    server: S3Server, host: str, tmp_path: Path
) -> None:
    here = replace(UPSTREAM, endpoint_url=f"http://{host}:4566")
    server.objects["bbb/x"] = b"there"
    amazon = at(server.url)
    for away in (amazon.put(here, "s3://bbb/x", b"y"), amazon.get(here, "s3://bbb/x")):
        with pytest.raises(Unavailable) as refused:
            asyncio.run(away)
        said = told(refused.value)
        assert said is not None and said.startswith("The bucket cannot be reached: s3://bbb: ")
        assert "set TENANTRY_S3_FOLDER" in said
        assert "TENANTRY" not in refused.value.message, "a tenant may read it"
    asyncio.run(UriBuckets({}, tmp_path).put(here, "s3://bbb/x", b"y"))
    assert (tmp_path / "bbb" / "x").read_bytes() == b"y"
    elsewhere = replace(UPSTREAM, endpoint_url="https://bedrock.example.com")
    assert asyncio.run(amazon.get(elsewhere, "s3://bbb/x")) == b"there"


@pytest.mark.parametrize("what", ["get", "put", "delete"])
def test_a_bucket_that_never_answers_is_away(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.CLIENT["timeout"] + module.RETRY["retry_timeout"] <= timedelta(seconds=30)
    monkeypatch.setitem(module.CLIENT, "timeout", timedelta(milliseconds=50))
    monkeypatch.setitem(module.RETRY, "retry_timeout", timedelta(milliseconds=10))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        buckets = at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        uri = "s3://bbb/x/records.out"
        work = {
            "get": lambda: buckets.get(UPSTREAM, uri),
            "put": lambda: buckets.put(UPSTREAM, uri, b"x"),
            "delete": lambda: buckets.delete(UPSTREAM, uri),
        }
        with pytest.raises(Unavailable, match="cannot be reached"):
            asyncio.run(asyncio.wait_for(work[what](), 5))
