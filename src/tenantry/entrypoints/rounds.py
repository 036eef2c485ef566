"""The background worker: what must happen although nobody asks.

Owns: that each round comes again and again. Does not own: what a round does (`application/`) nor
which rounds there are (`bootstrap/background.py`). A failed round is logged and the next one tries
again, after an outage soon. Several workers may run; every round is idempotent, and may be broken
off anywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tenantry.application.round import Round
from tenantry.bootstrap.failures import reason
from tenantry.domain.errors import Unavailable

RETRY_S = 30.0  # the pause after an outage, where a round's own is longer
END_S = 10.0  # for a round under way to end; one over all tenants can take half an hour
_log = logging.getLogger(__name__)


async def run_rounds(rounds: Sequence[Round], stop: asyncio.Event, end_s: float = END_S) -> None:
    """Runs until `stop` is set; an outage of the database is waited out. What is under way then is
    broken off after `end_s`, as whoever waits for the end would do by killing the process.
    """
    async with asyncio.TaskGroup() as running:
        tasks = [running.create_task(_repeat(each, stop), name=each.name) for each in rounds]
        await stop.wait()
        late = (await asyncio.wait(tasks, timeout=end_s))[1] if tasks else ()
        for task in late:
            _log.info(
                "a round was broken off, and goes on when the next begins: %s", task.get_name()
            )
            task.cancel()


async def _repeat(each: Round, stop: asyncio.Event) -> None:
    while not stop.is_set():
        pause_s = each.every_s
        try:
            await each.work()
        except Unavailable as outage:
            pause_s = min(pause_s, RETRY_S)
            _tell(each.name, outage)
        except Exception:
            # A fault of ours in one round must end neither the later ones nor the other rounds.
            _log.exception("a round of background work failed: %s", each.name)
        try:
            async with asyncio.timeout(pause_s):
                await stop.wait()
        except TimeoutError:
            continue


def _tell(name: str, outage: Unavailable) -> None:
    """One outage is one line, whichever rounds meet it and whatever the system says of it then."""
    about = "; ".join(filter(None, (reason(outage), f"round {name}")))
    said = outage.message.rstrip(".")
    _log.warning("background work has to wait: %s", said, extra={"about": about})
