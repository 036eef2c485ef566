"""Connections are accepted as many as may be open, counted from their first byte, or none."""

from __future__ import annotations

import os
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.support.http_edge import Edge
from tests.support.waiting import eventually

from tenantry.entrypoints.http.wire.limits import WireLimits

MOST = 8
ASK = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    home: Path = tmp_path_factory.mktemp("home")
    with Edge(home, WireLimits(connections=MOST)) as running:
        yield running


def connect(url: str) -> socket.socket:
    host, port = url.partition("://")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def answered(client: socket.socket) -> bool:
    """Whether a question got its answer, and not an end alone."""
    try:
        client.sendall(ASK)
        return client.recv(4_096).startswith(b"HTTP/1.1 200 ")
    except (ConnectionResetError, BrokenPipeError):
        return False


def asked(url: str) -> bool:
    with connect(url) as client:
        return answered(client)


@pytest.mark.parametrize("secure", [False, True])
def test_whoever_says_nothing_counts_and_one_too_many_is_closed(
    edge: Edge, secure: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """In clear, and before a handshake; of both ports of the data plane together."""
    eventually(lambda: asked(edge.url))
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(connect(edge.https_url if secure else edge.url))
        eventually(lambda: not asked(edge.url))
        assert asked(edge.admin_url), "the admin port has connections of its own"
    eventually(lambda: asked(edge.url))
    assert caplog.text.count("connections are open, and no more may be") <= 1, "once a minute"


def test_as_many_as_may_be_are_answered_also_where_all_come_at_once(edge: Edge) -> None:
    eventually(lambda: asked(edge.url))
    context = ssl.create_default_context(cafile=str(edge.ca_bundle))
    with ExitStack() as stack:
        raw = [stack.enter_context(connect(edge.https_url)) for _ in range(MOST)]
        clients = [context.wrap_socket(each, server_hostname="127.0.0.1") for each in raw]
        for client in clients:
            stack.enter_context(client)
        assert all(answered(client) for client in clients)


def test_where_the_system_has_no_descriptor_left_it_is_told_and_tried_again(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    eventually(lambda: asked(edge.url))
    with socket.socket() as client, no_descriptor_left():
        host, port = edge.url.partition("://")[2].split(":")
        client.settimeout(30)
        client.connect((host, int(port)))
        eventually(lambda: "no connection can be accepted" in caplog.text)
        assert "Too many open files" in caplog.text
    assert asked(edge.url)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """In this process: the first that is free is beyond the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first = os.dup(0)
    os.close(first)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
