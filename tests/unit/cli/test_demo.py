"""The demo's exit status says whether every promise was kept."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from tenantry.entrypoints.demo import walk
from tenantry.entrypoints.demo.show import Failed, Show


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("ending", "check", "status"),
    [
        (None, True, 0),
        (Failed("a promise"), True, 1),
        (Failed("a promise"), False, 1),
        (KeyboardInterrupt(), False, 0),  # how one that stays up is ended
        (KeyboardInterrupt(), True, 1),  # nothing was verified to its end
    ],
)
def test_only_a_walk_that_came_to_its_end_is_a_check_that_passed(
    ending: BaseException | None, check: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(show: Show, stack: contextlib.ExitStack, check: bool) -> None:
        if ending is not None:
            raise ending

    monkeypatch.setattr(walk, "_play", play)
    assert walk.run(check=check) == status


def test_what_is_piped_into_a_file_has_no_bar_and_no_empty_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show = Show()
    with show.progress("uploading", 2) as bar:
        bar.advance(bar.task_ids[0])
    show.say("said")
    show.checked("checked")
    assert capsys.readouterr().out == "  said\n  ✓ checked\n"
