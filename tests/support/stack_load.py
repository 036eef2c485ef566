"""Clients that ask all the time and remember what was acknowledged, while something dies."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.support.stack import MODEL, Stack, Tenant, wait_until
from tests.support.stack_clients import converse_body, converse_path

RETRY_PAUSE_S = 0.05
REQUEST_TIMEOUT_S = 20.0
KINDS = ("converse", "converse-stream", "document", "answer")


@dataclass
class Acknowledged:
    """What a client was told is done."""

    answers: set[str] = field(default_factory=set)  # request ids
    documents: dict[str, bytes] = field(default_factory=dict)  # by id
    refused: int = 0  # told otherwise, or nothing
    kinds: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.answers) + len(self.documents)


class Load:
    """One thread for each of `KINDS`, each asking for one tenant without a pause.

    boto3 asks the converse kinds, plain HTTP the others. The block's end waits for all.
    """

    def __init__(self, stack: Stack, tenant: Tenant) -> None:
        self.seen = Acknowledged()
        self._stack = stack
        self._tenant = tenant
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._broken: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in KINDS]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._broken:
            raise self._broken[0]

    def wait_for_more(self, count: int) -> None:
        """Returns once `count` more were acknowledged, some of every kind."""
        aim = self.seen.count + count
        with self._lock:
            self.seen.kinds.clear()

        def enough() -> bool:
            return self.seen.count >= aim and self.seen.kinds >= set(KINDS)

        wait_until(enough, "acknowledged requests of every kind", 60)

    def _run(self, kind: str) -> None:
        ask: Callable[[], None] = getattr(self, f"_{kind.replace('-', '_')}")
        try:
            while not self._stop.is_set():
                try:
                    ask()
                except (OSError, http.client.HTTPException, _Refused):
                    with self._lock:
                        self.seen.refused += 1
                    time.sleep(RETRY_PAUSE_S)
                else:
                    with self._lock:
                        self.seen.kinds.add(kind)
        except BaseException as broken:
            self._broken.append(broken)
            raise

    def _post(self, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
        """The request's id and the body of a success."""
        status, headers, data = self._stack.http(
            "POST", path, body, tenant=self._tenant, timeout_s=REQUEST_TIMEOUT_S
        )
        if status not in (200, 201):
            raise _Refused(status, data)
        return headers["x-tenantry-request-id"], data

    def _converse(self) -> None:
        request_id, data = self._post(converse_path(MODEL), converse_body())
        assert json.loads(data)["usage"]["outputTokens"] > 0
        self._answered(request_id)

    def _converse_stream(self) -> None:
        """Acknowledged by its last frame; a stream cut short, or ended by an error, is not."""
        request_id, data = self._post(converse_path(MODEL, stream=True), converse_body())
        if b"metadata" in data and b"xception" not in data:
            self._answered(request_id)
        else:
            raise _Refused(200, data)

    def _document(self) -> None:
        number = next(self._numbers)
        text = f"Document {number} of {self._tenant.name}: the word is w{number}."
        _, data = self._post("/v1/documents", {"title": f"Document {number}", "text": text})
        with self._lock:
            self.seen.documents[json.loads(data)["id"]] = text.encode()

    def _answer(self) -> None:
        request_id, _ = self._post("/v1/answers", {"question": "Which word is it?"})
        self._answered(request_id)

    def _answered(self, request_id: str) -> None:
        with self._lock:
            self.seen.answers.add(request_id)


class _Refused(Exception):
    """Answered, but not with success."""
