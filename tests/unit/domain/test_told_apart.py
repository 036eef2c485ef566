"""What tells two lines of one model and class apart is said, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.domain.told_apart import words_apart

EARLY, LATE = "2020-01-01T00:00:00Z", "2026-11-15T23:30:00Z"


def a_line(
    tiers: str = "default", keys: str = "m", since: str | None = EARLY, plans: str = "pro/3",
    **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "kind": "usage", "model": "m", "token_class": "out", "service_tiers": tiers.split(),
        "price_keys": keys.split(), "plans": plans.split(), "priced_from": since, **changes,
    }  # fmt: skip


def said(*lines: dict[str, Any], zone: str = "UTC") -> list[str]:
    return words_apart(lines, zone)


def test_a_line_that_stands_alone_says_nothing_unless_another_tier_served() -> None:
    assert said(a_line(), a_line(token_class="uncached_in"), a_line(model="n")) == ["", "", ""]
    assert said(a_line("batch")) == ["batch"]
    assert said(a_line("priority")) == ["priority tier"]
    assert said(a_line("default flex")) == ["default tier and flex tier"]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (a_line(), a_line("flex"), ["default tier", "flex tier"]),
        (a_line(), a_line(keys="us.m"), ["single region", "cross-region (us)"]),
        (a_line(keys="global.m"), a_line(keys="eu.m"),
         ["cross-region (global)", "cross-region (eu)"]),
        (a_line(), a_line(keys="m@eu-central-1"), ["in other regions", "in eu-central-1"]),
        (
            a_line(keys="eu.m@eu-west-1"), a_line(keys="eu.m"),
            ["cross-region (eu) in eu-west-1", "cross-region (eu) in other regions"],
        ),
        (
            a_line(keys="provisioned-model/x"), a_line(),
            ["provisioned-model/x", "single region"],
        ),
        (a_line(), a_line(since=LATE), ["prices from 2020-01-01", "prices from 2026-11-15"]),
        (a_line(), a_line(plans="scale/1"), ["plan pro", "plan scale"]),
        (a_line(), a_line(plans="pro/4"), ["plan pro version 3", "plan pro version 4"]),
        (a_line(), a_line(plans="scale/1", since=LATE),
         ["plan pro, prices from 2020-01-01", "plan scale, prices from 2026-11-15"]),
        (a_line(), a_line(tiers="", keys="", since=None, plans=""),
         ["default tier", ""]),  # what nobody knows any more
    ],
)  # fmt: skip
def test_two_lines_say_in_what_they_differ(
    one: dict[str, Any], other: dict[str, Any], words: list[str]
) -> None:
    assert said(one, other) == words
    assert said(other, one) == words[::-1]


def test_no_more_is_said_than_tells_lines_apart() -> None:
    assert said(a_line(), a_line("batch", since=LATE)) == ["default tier", "batch"]
    assert said(a_line(), a_line(since=LATE), a_line("batch", keys="us.m")) == [
        "default tier, prices from 2020-01-01", "default tier, prices from 2026-11-15", "batch",
    ]  # fmt: skip


def test_a_day_is_the_customers() -> None:
    words = said(a_line(), a_line(since=LATE), zone="Europe/Berlin")
    assert words == ["prices from 2020-01-01", "prices from 2026-11-16"]


def test_prices_that_changed_twice_on_a_day_say_at_what_time() -> None:
    lines = [a_line(), a_line(since="2026-11-15T23:30:00Z"), a_line(since="2026-11-16T00:10:07Z")]
    assert said(*lines) == [
        "prices from 2020-01-01", "prices from 2026-11-15", "prices from 2026-11-16",
    ]  # fmt: skip
    assert said(*lines, zone="Europe/Berlin") == [
        "prices from 2020-01-01",
        "prices from 2026-11-16 00:30:00",
        "prices from 2026-11-16 01:10:07",
    ]
    assert words_apart(lines, "Europe/Berlin", times=False) == [
        "prices from 2020-01-01", "prices from 2026-11-16", "prices from 2026-11-16",
    ]  # fmt: skip


def test_times_that_read_alike_have_their_offset_and_all_their_digits() -> None:
    """In an hour that the clock repeats, and within one second."""
    twice = [a_line(since="2026-11-01T05:30:00Z"), a_line(since="2026-11-01T06:30:00Z")]
    assert said(*twice, zone="America/New_York") == [
        "prices from 2026-11-01 01:30:00-04:00", "prices from 2026-11-01 01:30:00-05:00",
    ]  # fmt: skip
    assert said(a_line(since="2026-11-01T05:30:00Z"), a_line(since="2026-11-01T05:30:00.25Z")) == [
        "prices from 2026-11-01 05:30:00+00:00", "prices from 2026-11-01 05:30:00.250000+00:00",
    ]  # fmt: skip


def test_guardrail_units_and_cached_answers_cost_the_same_in_every_tier() -> None:
    for name in ("guardrail_topic", "cache_hit"):
        lines = a_line("flex", token_class=name), a_line(token_class=name, since=LATE)
        assert said(*lines) == ["prices from 2020-01-01", "prices from 2026-11-15"]


def test_lines_of_before_and_of_a_plan_say_nothing() -> None:
    before = {"kind": "usage", "model": "m", "token_class": "out"}
    assert said(before, dict(before), {"kind": "fee", "model": None}) == ["", "", ""]


def test_usage_and_its_adjustment_do_not_stand_beside_each_other() -> None:
    assert said(a_line(), a_line(kind="adjustment", since=LATE)) == ["", ""]
