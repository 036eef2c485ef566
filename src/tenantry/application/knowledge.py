"""What the knowledge use cases stand on, and the owner of work that outlives a request."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from tenantry.domain.document import Card, Document, DocumentRow, Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.original import unpack_original
from tenantry.ports.clock import Clock
from tenantry.ports.embedding import Embedder
from tenantry.ports.extraction import Extractor, Splitter
from tenantry.ports.keys import KeyStore, Sealer
from tenantry.ports.manifest import Manifest
from tenantry.ports.objects import ObjectKind, Objects
from tenantry.ports.vectors import Vectors

TASKS_MAX = 64  # uploads in work at once in one process; more are refused, not queued
_OBJECT_ID_BYTES = 20
_log = logging.getLogger(__name__)

T = TypeVar("T")


class OwnedTasks:
    """Tasks that a request starts and may leave behind. `close` ends and awaits them all."""

    def __init__(self, *, tasks_max: int = TASKS_MAX) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tasks_max = tasks_max

    def full(self) -> bool:
        return len(self._tasks) >= self._tasks_max

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        if self.full():
            work.close()
            raise Unavailable("Too many documents are being indexed; try again in a moment.")
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def settle(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.settle()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Its refusal reached the caller or the document's state; this is for the operator.
            _log.warning("%s ended: %s", task.get_name(), type(task.exception()).__name__)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The ports that ingestion, retrieval and documents use."""

    manifest: Manifest
    objects: Objects
    keys: KeyStore
    sealer: Sealer
    vectors: Vectors
    extractor: Extractor
    splitter: Splitter
    embedder: Embedder
    clock: Clock
    tasks: OwnedTasks

    def object_id(self) -> str:
        """A random name that says nothing."""
        return base64.b32encode(self.clock.random(_OBJECT_ID_BYTES)).decode().lower()

    async def original(self, home: Home, row: DocumentRow) -> tuple[Card, bytes]:
        """Card and bytes as they were uploaded. NotFound where they are gone meanwhile."""
        sealed = await self.objects.get(home, ObjectKind.ORIGINAL, row.original_id)
        plain = await self.sealer.open(home, ObjectKind.ORIGINAL.value, row.original_id, sealed)
        return unpack_original(plain)


def document_of(row: DocumentRow, card: Card) -> Document:
    return Document(
        id=row.id,
        status=row.state,
        card=card,
        size_bytes=row.original_bytes,
        passages=row.passages,
        created_at=row.created_at,
        updated_at=row.updated_at,
        failure=row.failure,
    )


def no_such_document() -> NotFound:
    return NotFound("There is no such document.")
