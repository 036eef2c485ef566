"""Mail servers that answer little by little, or oddly once they have the mail."""

from __future__ import annotations

import contextlib
import smtplib
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
    """Takes one connection and any mail. Its greeting drips or is the test's, as its farewell is;
    it may look for long at what it takes."""

    def __init__(
        self,
        *,
        drips: bool = False,
        greeting: bytes = b"220 odd\r\n",
        takes_after_s: float = 0.0,
        farewell: bytes = b"221 bye\r\n",
    ) -> None:
        self._drips, self._greeting, self._farewell = drips, greeting, farewell
        self._takes_after_s, self._never = takes_after_s, threading.Event()
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
            connection.sendall(self._greeting)
            with connection.makefile("rb") as lines:
                for line in lines:
                    word = line[:4].upper()
                    if word == b"QUIT":
                        connection.sendall(self._farewell)
                        break
                    connection.sendall(b"354 go on\r\n" if word == b"DATA" else b"250 fine\r\n")
                    if word == b"DATA":
                        self.mails.append(b"".join(iter(lines.readline, b".\r\n")))
                        self._never.wait(self._takes_after_s)
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


def test_a_server_that_says_ever_more_is_left() -> None:
    odd = Odd(greeting=(b"220-" + b"x" * 60 + b"\r\n") * 2**16)
    with odd.serving() as server, pytest.raises(smtplib.SMTPServerDisconnected, match="too much"):
        server.send(mail(), TO)
    assert odd.mails == []


def test_a_server_that_looks_for_long_at_a_mail_is_not_sent_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(talk, "STEP_MAX_S", 20 * DRIP_S)
    odd = Odd(takes_after_s=40 * DRIP_S)
    with odd.serving() as server:
        assert server.send(mail(), TO) == {}
    assert len(odd.mails) == 1


def test_a_farewell_that_never_comes_is_waited_for_like_any_other_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits_s: list[float] = []
    monkeypatch.setattr(talk.Talk, "quit", lambda each: waits_s.append(each.step_s()))
    with Odd().serving() as server:
        assert server.send(mail(), TO) == {}
    assert waits_s[0] <= talk.STEP_MAX_S
