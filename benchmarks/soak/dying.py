"""Processes that die, and what clients may notice of it until all are back."""

from __future__ import annotations

import random
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from tests.support.stack import wait_until

from benchmarks.soak import faults
from benchmarks.soak.reasons import AWAY, BROKEN, UNREACHED
from benchmarks.soak.world import World
from tenantry.entrypoints.http.tls import local_tls

_RECOVERED_S: Final = 10.0  # pauses of who waits for a database that was away
_BACK_S: Final = 60.0


def gateway_worker(world: World, _: random.Random) -> str:
    """Its own connections end; nobody else's."""
    with world.reasons.lasting({BROKEN}, after_s=0.5):
        victim = world.stack.kill_gateway_worker()
    _all_back(world)
    return f"pid {victim}"


def background_worker(world: World, _: random.Random) -> str:
    """No client notices anything."""
    victim = world.stack.kill_background_worker()
    _all_back(world)
    return f"pid {victim}"


def postmaster(world: World, _: random.Random) -> str:
    """Requests are refused until it has recovered; no connection ends."""
    with world.reasons.lasting(AWAY, after_s=_RECOVERED_S):
        victim = world.stack.kill_postgres()
        world.stack.revive()
    return f"pid {victim}"


def supervisor(world: World, chance: random.Random) -> str:
    """Started again by whoever watches over it."""
    with world.reasons.lasting({BROKEN, UNREACHED, *AWAY}, after_s=_RECOVERED_S):
        world.stack.kill_supervisor()
        world.ending.pause(chance.random() * 2)
        world.stack.revive()
    return ""


def everything(world: World, _: random.Random) -> str:
    """A power cut, but for the disk's cache."""
    with world.reasons.lasting({BROKEN, UNREACHED, *AWAY}, after_s=_RECOVERED_S):
        world.stack.kill_everything()
        world.stack.revive()
    return ""


def restart(world: World, _: random.Random) -> str:
    """SIGTERM: who was let in is served; who comes later finds nobody until it is back."""
    faults.calm(world)
    with world.reasons.lasting({UNREACHED, *AWAY}, after_s=_RECOVERED_S):
        status = world.stack.end_serve()
        world.stack.restart()
    if status != 0:
        world.journal.broke("serve did not end in order", f"exit status {status}")
    _all_back(world)
    return f"exit status {status}"


def renewed_certificate(world: World, _: random.Random) -> str:
    """Its file is lost; whoever starts next makes another, which all workers serve."""
    tls = local_tls(world.stack.home)
    before = _served(world)
    tls.certificate.unlink()
    gateway_worker(world, random.Random())
    wait_until(lambda: _served(world) != before, "another certificate is served", _BACK_S)
    return ""


def _served(world: World) -> bytes | None:
    """The certificate that a worker shows, of the authority that clients trust."""
    address = urlsplit(world.stack.https_url)
    context = ssl.create_default_context(cafile=str(world.stack.ca_bundle))
    with (
        socket.create_connection((address.hostname, address.port), timeout=_BACK_S) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname) as secured,
    ):
        return secured.getpeercert(binary_form=True)


def _all_back(world: World) -> None:
    """As many gateway workers as there should be, one background worker, and who answers."""
    stack = world.stack
    workers = int(str(stack.settings["workers"]))
    wait_until(lambda: len(stack.gateway_workers()) >= workers, "every gateway worker", _BACK_S)
    wait_until(stack.background_workers, "the background worker", _BACK_S)
    wait_until(stack.is_ready, "a gateway worker is ready", _BACK_S)
