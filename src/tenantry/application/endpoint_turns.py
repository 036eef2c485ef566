"""Whose turn it is among the endpoints that tenants name.

Owns: which of them has a lane, for how long, and how long it rests between two. Does not own: what
a lane does.
Invariants: a tenant has one quick lane and one slow lane at most, so that its endpoints hold up its
own; who waits for a lane has one before any of those that had theirs since; what was slow last
shares few lanes with all that were, and what does not end in time comes ever more rarely. All of it
is forgotten with the process: then each is taken for quick once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tenantry.domain.backoff import REST
from tenantry.domain.ids import TenantId
from tenantry.ports.delivery import Due

LANES_MAX: Final = 32  # of endpoints that were quick last, in one worker; one of a tenant
SLOW_LANES_MAX: Final = 8  # of those that were not; one of a tenant
SLOW_S: Final = 5.0  # a batch that lasts so long is slow
TURN_S: Final = 5.0  # then a lane that another waits for takes no further batch
REST_DOUBLINGS_MAX: Final = 5  # of an endpoint that is slow and takes nothing: 16 minutes
FORGOTTEN_AFTER_S: Final = 3_600.0  # without a batch; longer than any rest


@dataclass(frozen=True, slots=True)
class _Lately:
    """What an endpoint did. `in_vain`: how many slow batches since it took anything."""

    slow: bool
    in_vain: int
    rests_until_s: float


class EndpointTurns:
    """Those of one worker. `now_s` is of a clock that never steps."""

    def __init__(self) -> None:
        self._lately: dict[str, _Lately] = {}
        self._quick: dict[TenantId, str] = {}
        self._slow: dict[TenantId, str] = {}
        self._began_s: dict[str, float] = {}  # of those that have a lane
        self._ended_s: dict[str, float] = {}  # the last lane of each
        self._awaited: set[str] = set()  # those whose lane another waits for

    def in_order(self, due: Sequence[Due], now_s: float) -> list[Due]:
        """Begins a round of `take`: those first whose last turn is longest past."""
        since_s = now_s - FORGOTTEN_AFTER_S
        self._lately = {k: v for k, v in self._lately.items() if v.rests_until_s > since_s}
        self._ended_s = {k: v for k, v in self._ended_s.items() if v > since_s}
        self._awaited.clear()
        return sorted(due, key=lambda each: self._ended_s.get(each.sink, since_s))

    def take(self, sink: str, tenant_id: TenantId, now_s: float) -> bool:
        """Whether it has a lane now, which it keeps until `give_back`."""
        lately = self._lately.get(sink)
        if lately is not None and lately.rests_until_s > now_s:
            return False
        is_slow = lately is not None and lately.slow
        lanes, most = (self._slow, SLOW_LANES_MAX) if is_slow else (self._quick, LANES_MAX)
        if tenant_id in lanes:
            self._awaited.add(lanes[tenant_id])
            return False
        if len(lanes) >= most:
            self._awaited.update(lanes.values())
            return False
        lanes[tenant_id] = sink
        self._began_s[sink] = now_s
        return True

    def give_back(self, sink: str, now_s: float) -> None:
        if self._began_s.pop(sink, None) is None:
            return  # the operator's, which has a lane of its own
        self._ended_s[sink] = now_s
        for lanes in (self._quick, self._slow):
            for tenant_id in [each for each, having in lanes.items() if having == sink]:
                del lanes[tenant_id]

    def go_on(self, sink: str, now_s: float, *, took: bool, lasted_s: float) -> bool:
        """Whether its lane may take the next batch at once, after one that ended now and of which
        it took anything (`took`) or nothing.
        """
        lately, slow = self._lately.get(sink), lasted_s >= SLOW_S
        if took and not slow:
            self._lately.pop(sink, None)
            return sink not in self._awaited or now_s - self._began_s[sink] < TURN_S
        if took:
            self._lately[sink] = _Lately(slow, 0, now_s)
            return False
        # To refuse quickly what hung before is no sign that the next will not hang.
        was_slow = lately is not None and lately.slow
        in_vain = self._in_vain(sink) + slow
        rests_until_s = now_s + self.rest(sink).total_seconds()
        self._lately[sink] = _Lately(slow or was_slow, in_vain, rests_until_s)
        return False

    def rest(self, sink: str) -> timedelta:
        """How long it rests if it takes nothing of what it has now."""
        return REST * (1 << min(self._in_vain(sink), REST_DOUBLINGS_MAX))

    def _in_vain(self, sink: str) -> int:
        lately = self._lately.get(sink)
        return 0 if lately is None else lately.in_vain
