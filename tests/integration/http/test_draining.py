"""What becomes of those who come while a gateway ends: refused at once, or served."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.http_services import key_of
from tests.support.http_supervisors import START_S, supervised
from tests.support.waiting import eventually
from tests.support.wire import Served

from tenantry.entrypoints.http.tls import ensure_local_tls
from tenantry.entrypoints.http.wire.listeners import bind
from tenantry.entrypoints.http.wire.server import Server

ASK = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"


def test_nobody_new_is_let_in_while_a_stream_ends_and_the_ports_are_free(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with supervised(tmp_path, GATE=str(gate)) as supervisor:
        assert supervisor.stdout is not None
        urls = supervisor.stdout.readline().split()
        ports = [int(url.rpartition(":")[2]) for url in urls]
        client = http.client.HTTPConnection("127.0.0.1", ports[1], timeout=START_S)
        headers = {"authorization": f"Bearer {key_of('acme').bearer}"}
        client.request("POST", "/model/nova/converse-stream", b'{"messages":[]}', headers)
        answer = client.getresponse()
        begun = answer.read1()
        supervisor.terminate()
        for port in ports:
            eventually(lambda port=port: is_refused(port))
        for port in ports:  # as whoever is started next does
            bind("127.0.0.1", port).close()
        assert b"metadata" not in begun
        gate.touch()
        assert b"metadata" in answer.read()
        assert supervisor.communicate(timeout=START_S) == ("", "")
    assert supervisor.returncode == 0


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=START_S).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("secure", [False, True])
def test_who_was_let_in_by_the_system_is_served_at_the_end(tmp_path: Path, secure: bool) -> None:
    """And was not accepted yet: closing the socket would reset the connection."""
    tls = ensure_local_tls(tmp_path, (), now=datetime.now(UTC))
    trusted = ssl.create_default_context(cafile=str(tls.ca_bundle))

    def ask(client: socket.socket) -> bytes:
        if secure:
            client = trusted.wrap_socket(client, server_hostname="127.0.0.1")
            client.sendall(ASK)
        with client:
            return client.recv(4_096)

    async def run() -> None:
        server = Server(Served(b"{}"))
        listener = bind("127.0.0.1", 0)
        where = listener.getsockname()
        await server.listen(listener, tls.context() if secure else None)
        several = range(4 if secure else 200)  # more than are accepted in a turn
        clients = [socket.create_connection(where, timeout=START_S) for _ in several]
        for client in clients:
            if not secure:
                client.sendall(ASK)
        asked = [asyncio.create_task(asyncio.to_thread(ask, each)) for each in clients]
        assert await server.drain(5) == 0
        answers = await asyncio.gather(*asked)
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where, timeout=START_S)

    asyncio.run(run())
