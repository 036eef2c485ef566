"""Mail servers that answer little by little, or oddly once they have the mail."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tenantry.adapters.smtp import talk
from tenantry.adapters.smtp.server import MailServer

TO = ["oncall@example.org"]
DRIP_S, DRIPS_MAX = 0.01, 300


class Odd:
    """Takes one connection and any mail. Its greeting drips, or its farewell is the test's."""

    def __init__(self, *, drips: bool = False, farewell: bytes = b"221 bye\r\n") -> None:
        self._drips, self._farewell = drips, farewell
        self.mails: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @contextlib.contextmanager
    def serving(self) -> Iterator[MailServer]:
        self._thread.start()
        try:
            yield MailServer.from_url(f"smtp://127.0.0.1:{self._listener.getsockname()[1]}")
        finally:
            self._thread.join()
            self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            if self._drips:
                self._drip(connection)
            connection.sendall(b"220 odd\r\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    word = line[:4].upper()
                    if word == b"QUIT":
                        connection.sendall(self._farewell)
                        break
                    connection.sendall(b"354 go on\r\n" if word == b"DATA" else b"250 fine\r\n")
                    if word == b"DATA":
                        self.mails.append(b"".join(iter(lines.readline, b".\r\n")))
                        connection.sendall(b"250 taken\r\n")

    def _drip(self, connection: socket.socket) -> None:
        """Until the client has gone, or for long enough to tell that it never goes."""
        connection.sendall(b"220-")
        connection.settimeout(DRIP_S)
        for _ in range(DRIPS_MAX):
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return
            connection.sendall(b"x")
        connection.settimeout(None)
        connection.sendall(b"\r\n")


def mail() -> EmailMessage:
    made = EmailMessage()
    made["From"] = "alerts@example.com"
    made.set_content("body")
    return made


def test_a_server_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; all of them would keep the thread for as long as it likes."""
    monkeypatch.setattr(talk, "TALK_MAX_S", 20 * DRIP_S)
    odd = Odd(drips=True)
    with odd.serving() as server, pytest.raises(TimeoutError):
        server.send(mail(), TO)
    assert odd.mails == []


@pytest.mark.parametrize("farewell", [b"221 bye\r\n", b"421 closing\r\n", b"", b"rubbish\r\n"])
def test_a_mail_that_was_accepted_is_sent_whatever_the_farewell(farewell: bytes) -> None:
    odd = Odd(farewell=farewell)
    with odd.serving() as server:
        assert server.send(mail(), TO) == {}
    [taken] = odd.mails
    assert b"body" in taken
