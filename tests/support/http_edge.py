"""The HTTP edge on real sockets, in a thread of its own, over the fixed services."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import boto3
from botocore.config import Config
from tests.support.http_services import FixedServices, key_of

from tenantry.entrypoints.http.adminplane import ADMIN_PLANE
from tenantry.entrypoints.http.app import App
from tenantry.entrypoints.http.dataplane import DATA_PLANE
from tenantry.entrypoints.http.tls import ensure_local_tls
from tenantry.entrypoints.http.wire.limits import WireLimits
from tenantry.entrypoints.http.wire.listeners import bind
from tenantry.entrypoints.http.wire.server import Server


class Edge:
    """Three ports over one `FixedServices`; requests are counted as they are parsed."""

    def __init__(self, home: Path, limits: WireLimits | None = None) -> None:
        self.services = FixedServices()
        self.requests: list[tuple[str, str]] = []
        self._limits = limits or WireLimits()
        self._home = home
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(30), "the edge did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine on the edge's loop and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, work: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(work)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        services = self.services.services()
        tenants = App(services, DATA_PLANE, self._limits.requests)
        data, admin = _Counting(tenants, self.requests), App(services, ADMIN_PLANE)
        plain, secure, private = (bind("127.0.0.1", 0) for _ in range(3))
        tls = ensure_local_tls(self._home, (), now=datetime.now(UTC))
        self.ca_bundle = tls.ca_bundle
        self.url = f"http://127.0.0.1:{plain.getsockname()[1]}"
        self.https_url = f"https://127.0.0.1:{secure.getsockname()[1]}"
        self.admin_url = f"http://127.0.0.1:{private.getsockname()[1]}"
        self.port = plain.getsockname()[1]
        data_server = Server(data, self._limits, who=tenants.who)
        admin_server = Server(admin, self._limits, who=admin.who)
        await data_server.listen(plain)
        await data_server.listen(secure, tls.context())
        await admin_server.listen(private)
        self.data_server = data_server
        self._started.set()
        await self._stop.wait()
        await data_server.drain(5)
        await admin_server.drain(5)

    def boto3(
        self,
        name: str = "acme",
        *,
        retries: dict[str, Any] | None = None,
        service: Literal["bedrock-runtime", "bedrock-agent-runtime"] = "bedrock-runtime",
    ) -> Any:
        """An unmodified client that signs with SigV4, over plain http."""
        key = key_of(name)
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret,
            config=Config(retries=retries or {}, read_timeout=20, connect_timeout=5),
        )


class _Counting:
    """An application that notes each request before it is served."""

    def __init__(self, inner: App, seen: list[tuple[str, str]]) -> None:
        self._inner = inner
        self._seen = seen
        self.refuse = inner.refuse

    async def serve(self, request: Any, exchange: Any) -> None:
        self._seen.append((request.method, request.raw_path))
        await self._inner.serve(request, exchange)
