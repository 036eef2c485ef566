"""A small HTTP client for the command line and the demo: what curl would do."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import BuilderError
from pyreqwest.multipart import FormBuilder, PartBuilder

TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Download:
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Api:
    """One API key at one gateway (or no key: the emulator's own endpoints)."""

    def __init__(
        self, base_url: str, key: str | None = None, authority: Path | None = None
    ) -> None:
        """`authority`: a PEM file that is trusted beside what the system trusts."""
        self._base = base_url
        self._key = key
        builder = SyncClientBuilder().no_proxy().timeout(timedelta(seconds=TIMEOUT_S))
        if authority is not None:
            builder = builder.add_root_certificate_pem(authority.read_bytes())
        try:
            self._client: SyncClient = builder.build()
        except BuilderError:
            raise OSError(errno.EINVAL, "is no PEM file of certificates", str(authority)) from None

    def get(self, path: str) -> Reply:
        return self._finish(self._with_key(self._client.get(self._base + path)))

    def delete(self, path: str) -> Reply:
        return self._finish(self._with_key(self._client.delete(self._base + path)))

    def post(self, path: str, body: Any) -> Reply:
        return self._finish(self._with_key(self._client.post(self._base + path)).body_json(body))

    def upload(
        self,
        path: str,
        name: str,
        data: bytes,
        media_type: str,
        fields: Iterable[tuple[str, str]],
        method: str = "POST",
    ) -> Reply:
        """A file with the form's other fields, of which one may come several times."""
        form = FormBuilder()
        for field, text in fields:
            form = form.text(field, text)
        form = form.part("file", PartBuilder.from_bytes(data).file_name(name).mime(media_type))
        return self._finish(
            self._with_key(self._client.request(method, self._base + path)).multipart(form)
        )

    @contextmanager
    def stream(self, path: str, body: Any) -> Iterator[Iterator[bytes]]:
        """The chunks of a streamed answer; leaving the block hangs up."""
        request = self._with_key(self._client.post(self._base + path)).body_json(body)
        with request.streamed_read_buffer_limit(0).build_streamed() as response:
            yield _chunks(response)

    @contextmanager
    def download(self, path: str) -> Iterator[Download]:
        """An answer that may be large."""
        request = self._with_key(self._client.get(self._base + path))
        with request.build_streamed() as response:
            yield Download(response.status, _headers(response), _chunks(response))

    def _with_key(self, request: Any) -> Any:
        return request.bearer_auth(self._key) if self._key else request

    def _finish(self, request: Any) -> Reply:
        response = request.build().send()
        text = response.text()
        try:
            body = json.loads(text)
        except ValueError:
            body = text
        return Reply(response.status, _headers(response), body)


def _headers(response: Any) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _chunks(response: Any) -> Iterator[bytes]:
    while (chunk := response.body_reader.read_chunk()) is not None:
        yield bytes(chunk)
