"""Whose turn it is among the endpoints that tenants name.

Owns: which of them has a lane, and how long it rests between two. Does not own: what a lane does.
Invariants: a tenant has one quick lane and one slow lane at most, so that its endpoints hold up its
own; what was slow last shares few lanes with all that were, and what does not end in time comes
ever more rarely. All of it is forgotten with the process: then each is taken for quick once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tenantry.domain.backoff import REST
from tenantry.domain.ids import TenantId

LANES_MAX: Final = 32  # of endpoints that were quick last, in one worker; one of a tenant
SLOW_LANES_MAX: Final = 8  # of those that were not; one of a tenant
SLOW_S: Final = 5.0  # a batch that lasts so long is slow
REST_DOUBLINGS_MAX: Final = 5  # of an endpoint that is slow and takes nothing: 16 minutes
FORGOTTEN_AFTER: Final = timedelta(hours=1)  # without a batch; longer than any rest


@dataclass(frozen=True, slots=True)
class _Lately:
    """What an endpoint did. `in_vain`: how many slow batches since it took anything."""

    slow: bool
    in_vain: int
    rests_until: datetime


class EndpointTurns:
    """Those of one worker."""

    def __init__(self) -> None:
        self._lately: dict[str, _Lately] = {}
        self._quick: dict[TenantId, str] = {}
        self._slow: dict[TenantId, str] = {}

    def take(self, sink: str, tenant_id: TenantId, now: datetime) -> bool:
        """Whether it has a lane now, which it keeps until `give_back`."""
        lately = self._lately.get(sink)
        if lately is not None and lately.rests_until > now:
            return False
        is_slow = lately is not None and lately.slow
        lanes, most = (self._slow, SLOW_LANES_MAX) if is_slow else (self._quick, LANES_MAX)
        if tenant_id in lanes or len(lanes) >= most:
            return False
        lanes[tenant_id] = sink
        return True

    def give_back(self, sink: str) -> None:
        for lanes in (self._quick, self._slow):
            for tenant_id in [each for each, having in lanes.items() if having == sink]:
                del lanes[tenant_id]

    def go_on(self, sink: str, now: datetime, *, took: bool, lasted_s: float) -> bool:
        """Whether its lane may take the next batch at once, after one that ended now and of which
        it took anything (`took`) or nothing.
        """
        lately, slow = self._lately.get(sink), lasted_s >= SLOW_S
        if took and not slow:
            self._lately.pop(sink, None)
            return True
        if took:
            self._lately[sink] = _Lately(slow, 0, now)
            return False
        # To refuse quickly what hung before is no sign that the next will not hang.
        was_slow = lately is not None and lately.slow
        in_vain = self._in_vain(sink) + slow
        self._lately[sink] = _Lately(slow or was_slow, in_vain, now + self.rest(sink))
        return False

    def rest(self, sink: str) -> timedelta:
        """How long it rests if it takes nothing of what it has now."""
        return REST * (1 << min(self._in_vain(sink), REST_DOUBLINGS_MAX))

    def forget(self, now: datetime) -> None:
        """Drops what is long past."""
        kept = {k: v for k, v in self._lately.items() if v.rests_until + FORGOTTEN_AFTER > now}
        self._lately = kept

    def _in_vain(self, sink: str) -> int:
        lately = self._lately.get(sink)
        return 0 if lately is None else lately.in_vain
