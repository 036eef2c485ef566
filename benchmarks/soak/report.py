"""What a soak prints: a line a minute, and in the end what it did and what broke."""

from __future__ import annotations

import json

from benchmarks.result import commit, machine
from benchmarks.soak.census import Census
from benchmarks.soak.world import World


def progress(world: World, counted: Census) -> None:
    journal = world.journal
    memory = ", ".join(
        f"{life.kind} {life.samples[-1][1]:.0f}" for life in counted.alive() if life.samples
    )
    broke = f"{journal.broken} broke" if journal.broken else "nothing broke"
    journal.say(
        f"{journal.requests():,} requests: {journal.how_many('answered'):,} answered,"
        f" {journal.how_many('refused'):,} refused, {journal.how_many('left'):,} left,"
        f" {journal.how_many('broken') + journal.how_many('unreached'):,} lost in mishaps;"
        f" {journal.mishaps.total()} mishaps; MB: {memory}; {broke}"
    )


def summary(world: World, counted: Census) -> None:
    """For people first, for programs in the last line."""
    journal, course = world.journal, world.course
    print("\nrequests, by kind and end")
    for kind, ends in journal.ends().items():
        told = ", ".join(f"{count:,} {end}" for end, count in ends.items())
        print(f"  {kind:<16} {told}")
    print("\nmishaps")
    for name, count in sorted(journal.mishaps.items()):
        print(f"  {name:<26} {count}")
    print("\nmemory of who lived longest")
    lives = sorted(counted.lives.values(), key=lambda life: -life.span_s)[:6]
    for life in lives:
        print(f"  {life} over {life.span_s / 60:.0f} min")
    print(f"\nwhat broke: {'' if journal.broken else 'nothing'}")
    for what, count in journal.kinds.most_common():
        print(f"  {count} × {what}")
    for finding in journal.findings:
        print(f"  {finding}")
    figures = {
        "minutes": course.minutes,
        "seed": course.seed,
        "tenants": len(world.members),
        "requests": journal.ends(),
        "mishaps": dict(journal.mishaps),
        "notices": len(world.receiver.came),
        "memory": [
            {
                "kind": life.kind,
                "minutes": round(life.span_s / 60, 1),
                "mb": round(life.samples[-1][1], 1),
                "mb_per_h": round(life.slope_mb_per_h(), 1),
            }
            for life in lives
            if life.samples
        ],
    }
    line = {
        "soak": figures,
        "machine": machine(),
        "commit": commit(),
        "broken": dict(journal.kinds),  # how often what
        "broke": [
            {"at_s": round(one.at_s), "what": one.what, "detail": one.detail}
            for one in journal.findings
        ],
    }
    print(json.dumps(line), flush=True)
