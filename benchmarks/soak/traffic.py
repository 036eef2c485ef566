"""Clients of all tenants, each a thread that asks at random intervals until the soak ends."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.soak import chats, reads
from benchmarks.soak.caller import Caller
from benchmarks.soak.cast import Member
from benchmarks.soak.library import Library
from benchmarks.soak.world import World

Act = Callable[[Caller], None]
_CHATS: Final[Sequence[tuple[Act, int]]] = (
    (chats.converse, 16),
    (chats.converse_stream, 10),
    (chats.chat, 12),
    (chats.chat_stream, 10),
    (chats.left, 10),
    (chats.embeddings, 6),
    (chats.twice, 3),
    (chats.too_long, 1),
    (chats.too_large, 1),
    (reads.read, 10),
    (reads.models, 1),
    (reads.wrong_key, 1),
    (reads.unknown_model, 1),
    (reads.bad_body, 1),
)


class Client(threading.Thread):
    """One client of one tenant. `library`: its documents, which nobody else changes."""

    def __init__(self, world: World, member: Member, seed: str, mean_pause_s: float) -> None:
        super().__init__(name=f"client-{seed}", daemon=True)
        self.caller = Caller(world, member, random.Random(seed))
        self.library = Library(self.caller)
        self._mean_pause_s = mean_pause_s
        acts = list(_CHATS)
        if member.role.keeps_documents:
            mine = self.library
            acts += [(mine.upload, 8), (mine.replace, 4), (mine.delete, 3), (mine.read, 3)]
            acts += [(mine.search, 8), (mine.ask, 5), (mine.trespass, 2)]
            member.libraries.append(self.library)
        self._acts, self._weights = zip(*acts, strict=True)

    def run(self) -> None:
        try:
            self._ask_until_the_end()
        finally:
            self.caller.hang_up()

    def _ask_until_the_end(self) -> None:
        world, chance = self.caller.world, self.caller.chance
        while world.ending.pause(chance.expovariate(1 / self._mean_pause_s)):
            with world.gate.passed():
                if self.caller.member.has_left or world.ending.is_over():
                    return
                [act] = chance.choices(self._acts, self._weights)
                try:
                    act(self.caller)
                except Exception:
                    self.caller.broke("an answer that cannot be read", act.__name__, None,
                                      traceback.format_exc())  # fmt: skip


class Traffic:
    """All clients, those of members that join later too."""

    def __init__(self, world: World) -> None:
        self.clients: list[Client] = []
        self._world = world
        count = sum(member.role.clients for member in world.members)
        self._mean_pause_s = count / world.course.requests_per_s

    def begin_for(self, member: Member) -> None:
        seed = self._world.course.seed
        for _ in range(member.role.clients):
            name = f"{seed}-{len(self.clients)}"
            client = Client(self._world, member, name, self._mean_pause_s)
            self.clients.append(client)
            client.start()


@contextmanager
def running(world: World) -> Iterator[Traffic]:
    """Clients of all members; they end with the block, once their last answers are there."""
    traffic = Traffic(world)
    for member in world.members:
        traffic.begin_for(member)
    try:
        yield traffic
    finally:
        world.ending.end()
        world.gate.open()
        for client in traffic.clients:
            client.join()
