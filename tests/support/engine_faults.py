"""Engines that fail, lie or answer for somebody else, around a real one; a manifest that dies."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

from tests.support import knowledge as support

from tenantry.adapters.vectors.engine import Engine, Hit, Room
from tenantry.domain.document import Home
from tenantry.domain.errors import Unavailable


class Killed(BaseException):
    """What a process that is killed never gets over."""


class DyingManifest:
    """Ends at the commit that would make a document live."""

    def __init__(self, manifest: support.MemoryManifest) -> None:
        self._manifest = manifest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manifest, name)

    async def publish(self, *given: object) -> bool:
        raise Killed


class _Around:
    """An engine whose rooms pass through `changed`."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.exact, self._engine = engine.name, engine.exact, engine

    def room(self, home: Home) -> Any:
        return self.changed(self._engine.room(home))

    def changed(self, room: Room) -> Any:
        return room

    async def close(self) -> None:
        await self._engine.close()


class Misrouted(_Around):
    """Looks into the other tenant's room, whoever asks."""

    def __init__(self, engine: Engine, victim: Home) -> None:
        super().__init__(engine)
        self._victim = victim

    def room(self, home: Home) -> Any:
        return self._engine.room(self._victim)


class Swapping(_Around):
    """Puts what belongs to one row of the tenant under another's id."""

    def changed(self, room: Room) -> Any:
        class Swapped:
            def __getattr__(self, name: str) -> Any:
                return getattr(room, name)

            async def search(self, *given: Any) -> Sequence[Hit]:
                hits = list(await room.search(*given))
                turned = [*hits[1:], *hits[:1]]
                pairs = zip(hits, turned, strict=True)
                return [dataclasses.replace(a, sealed=b.sealed) for a, b in pairs]

        return Swapped()


class Publishing(_Around):
    """While the first search is under way, another process publishes."""

    def __init__(self, engine: Engine, work: Any) -> None:
        super().__init__(engine)
        self._work: Any = work

    def changed(self, room: Room) -> Any:
        outer = self

        class Slow:
            def __getattr__(self, name: str) -> Any:
                return getattr(room, name)

            async def search(self, *given: Any) -> Sequence[Hit]:
                hits = await room.search(*given)
                work, outer._work = outer._work, None
                if work is not None:
                    await work()
                return hits

        return Slow()


class Undeleting(_Around):
    """Takes no deletion for as long as it is told so."""

    refuses = True

    def changed(self, room: Room) -> Any:
        outer = self

        class Kept:
            def __getattr__(self, name: str) -> Any:
                return getattr(room, name)

            async def delete(self, segments: Sequence[Any]) -> None:
                await asyncio.sleep(0)
                if outer.refuses:
                    raise Unavailable("The engine takes no deletion.")
                await room.delete(segments)

        return Kept()
