"""Two workers' keyrings against a model: whatever happens, who may open what, and until when."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.support import knowledge as support
from tests.support.noted_keys import MemoryNotedKeys

from tenantry.adapters.keys.key_folder import KeyFolder
from tenantry.adapters.keys.keyring import Keyring
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.adapters.keys.wrapped_key import kms_key_of
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.sealed.sealer import TenantSealer
from tenantry.domain.envelope import unpack_blob
from tenantry.domain.errors import Corrupt, NotFound, Unavailable
from tenantry.ports.keys import Purpose

TTL_S = 60.0
USES_MAX = 12
TENANTS = ("tnt_a", "tnt_b")
KMS_KEYS = ("shared", "own-tnt_a", "own-tnt_b")
STEPS = 500
VERSIONS_MAX = 8


class Keyrings:
    def __init__(self, folder: Path, seed: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = folder
        self.random = random.Random(seed)
        self.now = 0.0
        self.kms = LocalKms(self.folder, DurableFiles())
        self.noted = MemoryNotedKeys()  # the one database of both
        self.held: list[set[str]] = [set(), set()]  # by worker: whose content may be open
        self.keys = [self._keyring(number) for number in (0, 1)]
        self.sealers = [TenantSealer(keys) for keys in self.keys]
        self.homes = {name: support.home(support.tenant(name)) for name in TENANTS}
        self.off: dict[str, float] = {}  # KMS key → since when it is disabled
        self.made: dict[str, list[float]] = {name: [] for name in TENANTS}  # when, by version
        self.sealed: list[tuple[str, bytes, str]] = []
        for name in TENANTS:
            for own in (False, True):
                home = dataclasses.replace(self.homes[name], own_kms_key=own)
                self.run(self.kms.create(home.account, kms_key_of(home)))
            self.run(self.keys[0].create(self.homes[name]))
            self.made[name].append(-TTL_S)
        self.digests = {name: self._digest(0, name) for name in TENANTS}

    def close(self) -> None:
        for keys in self.keys:
            keys.close()
        self.loop.close()

    def _keyring(self, number: int) -> Keyring:
        files = KeyFolder(self.folder, DurableFiles())
        keys = Keyring(
            files,
            self.kms,
            self.noted,
            lambda: self.now,
            cached_key_ttl_s=TTL_S,
            cached_key_uses_max=USES_MAX,
        )
        keys.on_loss(self.held[number].discard)
        return keys

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def wraps(self, name: str) -> list[str]:
        """Which KMS key wraps each version, as it rests."""
        return [each.name.kms_key for each in self.run(self.keys[0].versions(self.homes[name]))]

    def attempt(self, work: Coroutine[Any, Any, Any], *needed: str) -> Any:
        """The result; None where a KMS key of those needed is disabled, which must be why."""
        off = [self.off[key] for key in needed if key in self.off]
        try:
            done = self.run(work)
        except Unavailable as refused:
            assert not isinstance(refused, Corrupt)
            assert off, f"refused though {needed} are enabled: {refused}"
            return None
        assert all(self.now - since < TTL_S for since in off), f"{needed} are disabled for too long"
        return done

    def _digest(self, worker: int, name: str) -> bytes:
        work = self.sealers[worker].digest(self.homes[name], Purpose.CONTENT_HMAC, b"same")
        digest: bytes = self.attempt(work, self.wraps(name)[0])
        return digest

    def time_passes(self) -> None:
        self.now += self.random.choice((1.0, TTL_S / 3, TTL_S / 2, TTL_S))

    def disable(self) -> None:
        key = self.random.choice(KMS_KEYS)
        self.run(self.kms.set_enabled(support.POOL, key, False))
        self.off.setdefault(key, self.now)

    def enable(self) -> None:
        if self.off:
            key = self.random.choice(sorted(self.off))
            self.run(self.kms.set_enabled(support.POOL, key, True))
            del self.off[key]

    def change_plan(self) -> None:
        name = self.random.choice(TENANTS)
        home = self.homes[name]
        self.homes[name] = dataclasses.replace(home, own_kms_key=not home.own_kms_key)

    def rotate(self) -> None:
        keys, name = self.random.choice(self.keys), self.random.choice(TENANTS)
        home = self.homes[name]
        if len(self.made[name]) == VERSIONS_MAX:
            return
        if kms_key_of(home) in self.off:
            with pytest.raises(Unavailable, match="disabled"):
                self.run(keys.rotate(home))
        else:
            assert self.run(keys.rotate(home)) == len(self.made[name]) + 1
            self.made[name].append(self.now)
        assert len(self.wraps(name)) == len(self.made[name])

    def rewrap(self) -> None:
        keys, name = self.random.choice(self.keys), self.random.choice(TENANTS)
        home = self.homes[name]
        if {*self.wraps(name), kms_key_of(home)} & self.off.keys():
            with pytest.raises(Unavailable, match="disabled"):
                self.run(keys.rewrap(home))
        else:
            self.run(keys.rewrap(home))
            assert set(self.wraps(name)) == {kms_key_of(home)}

    def seal(self) -> None:
        sealer, name = self.random.choice(self.sealers), self.random.choice(TENANTS)
        text, wraps = f"of {name} {len(self.sealed)}", self.wraps(name)
        # A worker may not have heard of what was made less than the cache's time ago.
        late = [n - 1 for n, at in enumerate(self.made[name], 1) if self.now - at < TTL_S]
        possible = {len(self.made[name]), *late}
        work = sealer.seal(self.homes[name], "k", "o", text.encode())
        try:
            sealed = self.run(work)
        except Unavailable:
            assert {wraps[n - 1] for n in possible} & self.off.keys()
            return
        version = unpack_blob(sealed).key_version
        assert version in possible
        assert self.now - self.off.get(wraps[version - 1], self.now) < TTL_S
        self.sealed.append((name, sealed, text))

    def open(self) -> None:
        if not self.sealed:
            return
        sealer, asked = self.random.choice(self.sealers), self.random.choice(TENANTS)
        name, sealed, text = self.random.choice(self.sealed)
        work = sealer.open(self.homes[asked], "k", "o", sealed)
        if asked == name:
            needed = self.wraps(name)[unpack_blob(sealed).key_version - 1]
            assert self.attempt(work, needed) in (None, text.encode())
        else:
            with pytest.raises((Unavailable, NotFound)):  # Corrupt is an Unavailable
                self.run(work)

    def digest(self) -> None:
        name = self.random.choice(TENANTS)
        assert self._digest(self.random.choice((0, 1)), name) in (None, self.digests[name])

    def check(self) -> None:
        worker, name = self.random.choice((0, 1)), self.random.choice(TENANTS)

        async def checked() -> bool:
            await self.keys[worker].check(self.homes[name])
            return True

        if self.attempt(checked(), *self.wraps(name)):
            self.held[worker].add(name)
        else:
            assert name not in self.held[worker], "what is open must have been dropped"

    def renew(self) -> None:
        worker = self.random.choice((0, 1))
        self.run(self.keys[worker].renew(ahead_s=self.random.choice((0.0, TTL_S / 2))))
        for name in self.held[worker]:
            off = [self.off[key] for key in self.wraps(name) if key in self.off]
            assert all(self.now - since < TTL_S for since in off), "it must have been dropped"

    def play(self, steps: int) -> None:
        actions = {
            self.open: 8,
            self.seal: 4,
            self.check: 4,
            self.time_passes: 5,
            self.disable: 2,
            self.enable: 3,
            self.digest: 2,
            self.renew: 2,
            self.change_plan: 1,
            self.rewrap: 1,
            self.rotate: 1,
        }
        for action in self.random.choices(list(actions), list(actions.values()), k=steps):
            action()


@pytest.mark.parametrize("seed", range(3))
def test_who_may_open_what_and_until_when(tmp_path: Path, seed: int) -> None:
    world = Keyrings(tmp_path, seed)
    world.play(STEPS)
    opened = [text for _, _, text in world.sealed]
    assert len(opened) > STEPS / 40
    world.close()
