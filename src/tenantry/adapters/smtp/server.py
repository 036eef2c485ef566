"""Where mail is handed in: `smtps://user:password@host:465`, `smtp+starttls://…`, `smtp://…`."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

TIMEOUT_S: Final = 15  # of each step of the talk
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
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        if (user is None) != (password is None):
            raise BadServer("has a user or a password, but not both")
        if user is not None and parts.scheme == "smtp":
            raise BadServer("would send a password in clear; take smtps or smtp+starttls")
        host = parts.hostname
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], user, password, ca_bundle)

    def send(self, mail: EmailMessage, to: list[str]) -> dict[str, tuple[int, bytes]]:
        """Blocks. Returns whom the server refused; raises `smtplib.SMTPException`, `OSError`."""
        with self._connected() as server:
            if self.user is not None and self.password is not None:
                server.login(self.user, self.password)
            return server.send_message(mail, to_addrs=to)

    def _connected(self) -> smtplib.SMTP:
        if self.scheme == "smtps":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=self._tls())
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        if self.scheme == "smtp+starttls":
            try:
                server.starttls(context=self._tls())
            except BaseException:
                server.close()
                raise
        return server

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.ca_bundle is not None:
            context.load_verify_locations(self.ca_bundle)
        return context
