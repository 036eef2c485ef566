"""The audit's HTTP: sends what it is told, byte by byte, and keeps what came back as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from tenantry.bootstrap.failures import unreached
from tenantry.entrypoints.audit.credentials import Credential, host_of, nobody
from tenantry.entrypoints.audit.exchange import Ask, Reply

TIMEOUT_S: Final = 60
EXCHANGES_MAX: Final = 20_000  # kept for the looks at all replies; some 2,500 of an audit
BODY_BYTES_KEPT: Final = 131_072  # of each; the canaries' things are far smaller


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, who made it (a canary's name, or nothing), and the reply."""

    who: str
    ask: Ask
    reply: Reply


class Wire:
    """One port of the deployment. Lives in one thread."""

    def __init__(self, url: str, ca_bundle: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.host = host_of(self.url)
        self.exchanges: list[Exchange] = []
        builder = SyncClientBuilder().no_proxy().timeout(timedelta(seconds=TIMEOUT_S))
        builder = builder.follow_redirects(False)
        if ca_bundle is not None:
            builder = builder.add_root_certificate_pem(ca_bundle.read_bytes())
        self._client: SyncClient = builder.build()

    def send(self, asked: Ask, credential: Credential = nobody, *, who: str = "") -> Reply:
        """Raises `OSError` where nothing answers."""
        headers = {**asked.headers, **credential(asked, self.host)}
        reply = self._sent(asked, headers)
        kept = Reply(reply.status, reply.headers, reply.body[:BODY_BYTES_KEPT])
        if len(self.exchanges) >= EXCHANGES_MAX:
            raise OSError("more requests than are kept as evidence")
        self.exchanges.append(Exchange(who, asked, kept))
        return reply

    def close(self) -> None:
        self._client.close()

    def _sent(self, asked: Ask, headers: dict[str, str]) -> Reply:
        request: Any = self._client.request(asked.method, self.url + asked.target)
        for name, value in headers.items():
            request = request.header(name, value)
        if asked.body:
            request = request.body_bytes(asked.body)
        try:
            response = request.build().send()
            body = bytes(response.bytes())
        except PyreqwestError as error:
            raise OSError(f"{asked.operation}: {unreached(error)}") from None
        found = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, found, body)
