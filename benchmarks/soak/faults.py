"""Faults of Bedrock, by rules of the emulator: each of one tenant, until the next one."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.soak.reasons import UPSTREAM
from benchmarks.soak.world import World

HANG_MS: Final = 18_000  # longer than the gateway waits for a byte
_ENDED_S: Final = 30.0  # what was under way has met its end by then
# So that a stream can be left in its middle.
_PACE: Final[Mapping[str, Any]] = {
    "match": {"operation": "ConverseStream"},
    "action": {"kind": "slow_tokens", "delay_ms": 4},
}
_ACTIONS: Final[Sequence[Mapping[str, Any]]] = (
    {"kind": "throttle", "retry_after_ms": 300},
    {"kind": "error", "status": 500, "code": "InternalServerException"},
    {"kind": "error", "status": 503, "code": "ServiceUnavailableException"},
    {"kind": "error", "status": 500, "code": "InternalServerException", "bill": "full"},
    {"kind": "slow_first_token", "delay_ms": 2_000},
    {"kind": "error_frame", "code": "modelStreamErrorException", "after_events": 3},
    {"kind": "error_frame", "code": "throttlingException", "after_events": 2},
    {"kind": "cut", "after_events": 2},
    {"kind": "cut", "after_events": 4, "clean": True},
    {"kind": "hang", "after_events": 2, "for_ms": HANG_MS},
    {"kind": "rubbish", "what": "html"},
    {"kind": "rubbish", "what": "truncated_json"},
    {"kind": "rubbish", "what": "bad_crc"},
)


def fault(world: World, chance: random.Random) -> str:
    """One kind, at a half of one tenant's calls or at all, some times."""
    calm(world)
    member = chance.choice(world.present())
    action, times = chance.choice(_ACTIONS), chance.choice((3, 10, 30))
    world.fault = world.reasons.give(UPSTREAM, member.id)
    world.stack.emulator.rules(
        {
            "match": {"request_metadata": {"tid": member.id}},
            "probability": chance.choice((0.5, 1.0)),
            "seed": chance.randrange(1_000),
            "times": times,
            "action": dict(action),
        }
    )
    return f"{action}, {times} times, {member.name}"


def calm(world: World) -> None:
    """No fault any more, but for the pace of streams."""
    world.stack.emulator.clear_rules()
    world.stack.emulator.rules(_PACE)
    if world.fault is not None:
        world.fault.close(_ENDED_S)
        world.fault = None
