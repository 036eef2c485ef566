"""Where mail is handed in: `smtps://user:password@host:465`, `smtp+starttls://…`, `smtp://…`."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tenantry.adapters.smtp.talk import Talk, TalkOverTls

_PORTS: Final = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}


class BadServer(ValueError):
    """The URL names no mail server; the message repeats no password."""


@dataclass(frozen=True, slots=True)
class MailServer:
    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    ca_bundle: Path | None = None

    @classmethod
    def from_url(cls, url: str, ca_bundle: Path | None = None) -> MailServer:
        """Raises `BadServer`; also for a password that would go over the network in clear."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadServer("is malformed") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
            raise BadServer(f"must be {', '.join(_PORTS)} and ://user:password@host:port")
        if port == 0:
            raise BadServer("names port 0, where no server is")
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        if (user is None) != (password is None):
            raise BadServer("has a user or a password, but not both")
        if not f"{user}{password}".isascii():
            raise BadServer("has a user or a password beyond ASCII, which cannot be sent")
        if user is not None and parts.scheme == "smtp":
            raise BadServer("would send a password in clear; take smtps or smtp+starttls")
        host = parts.hostname
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], user, password, ca_bundle)

    def send(self, mail: EmailMessage, to: list[str]) -> dict[str, tuple[int, bytes]]:
        """Blocks, for little more than `TALK_MAX_S`. Returns whom the server refused; raises
        `smtplib.SMTPException`, `OSError`. How the talk ends undoes nothing: a mail that was
        accepted is, whatever the server says to a farewell."""
        with self._talk() as talk:
            if self.scheme == "smtp+starttls":
                talk.starttls(context=self._tls())
            if self.user is not None and self.password is not None:
                talk.login(self.user, self.password)
            return talk.send_message(mail, to_addrs=to)

    @contextlib.contextmanager
    def _talk(self) -> Iterator[Talk]:
        if self.scheme == "smtps":
            talk: Talk = TalkOverTls(self.host, self.port, self._tls())
        else:
            talk = Talk(self.host, self.port)
        try:
            yield talk
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                talk.quit()
            talk.close()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.ca_bundle is not None:
            context.load_verify_locations(self.ca_bundle)
        return context
