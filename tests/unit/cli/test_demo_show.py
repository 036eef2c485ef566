"""How the demo's lines lie on a terminal and in a file, and that they name who they are about."""

from decimal import Decimal
from typing import cast

import pytest
from rich.console import Console

from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.demo import acts
from tenantry.entrypoints.demo.cast import Player
from tenantry.entrypoints.demo.show import Show

LONG = "a client hangs up; Bedrock bills 108 output tokens and so do we"
TRIAL = Player("tnt_01hzzzzzzzzzzzzzzzzzzzzzzz", "trial-1", "demo-trial", "pool", "tk", "AK", "s")


def shown(capsys: pytest.CaptureFixture[str], width: int | None = None) -> list[str]:
    show = Show()
    if width is not None:
        show.console = Console(
            width=width, force_terminal=True, no_color=True, highlight=False, color_system=None
        )
    show.say(LONG)
    show.checked(LONG)
    show.quote(LONG)
    return capsys.readouterr().out.splitlines()


def test_on_a_terminal_lines_go_on_below_their_first_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(capsys, 40)
    assert len(lines) == 6 and max(map(len, lines)) <= 40
    assert lines == [line.rstrip() for line in lines]
    assert [len(line) - len(line.lstrip(" ✓")) for line in lines] == [2, 2, 4, 4, 4, 4]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    assert [" ".join(" ".join(pair).split()) for pair in pairs] == [
        LONG, f"✓ {LONG}", LONG,
    ]  # fmt: skip


def test_in_a_file_each_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert shown(capsys) == [f"  {LONG}", f"  ✓ {LONG}", f"    {LONG}"]


def test_the_fourth_tenant_is_introduced_before_it_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [Reply(200, {}, {}), Reply(402, {}, {})]
    monkeypatch.setattr(acts, "_ask", lambda api, question: replies.pop(0))
    walk = acts.Walk(Show(), "", cast(Api, None), {})
    assert acts.budget(walk, TRIAL, Decimal("0.00004")) == 1
    act, said, spend, refused = capsys.readouterr().out.strip().splitlines()
    assert act.startswith("4  ")
    assert "trial-1: a fourth tenant" in said and "100 requests a day" in said
    assert "one of its API keys may spend 0.00004 USD a day" in spend
    assert "that key is refused with 402 after 1 requests" in refused


def test_a_draft_is_of_whole_days() -> None:
    period = {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00+00:00"}
    assert acts._days(period) == "2026-11-01 to 2026-11-30"
