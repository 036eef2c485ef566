"""A certificate outlives neither its `serve` nor the other way round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tenantry.entrypoints.http.tls import ensure_local_tls
from tenantry.entrypoints.http.tls_watch import TlsWatch

START = datetime(2027, 1, 1, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def test_it_is_looked_at_once_a_day_and_renewed_a_month_before_its_end(tmp_path: Path) -> None:
    now = Time()
    watch = TlsWatch(tmp_path, (), now)
    first, renewed = watch.files.ends_at(), []
    for day in range(400):
        now.at = START + timedelta(days=day)
        assert watch.is_due() == (day > 0)
        if watch.is_due() and watch.look():
            renewed.append(day)
        assert not watch.is_due()
        assert watch.files.ends_at() - now.at >= timedelta(days=29)
    assert renewed == [368], "397 days, and 30 before their end"
    assert watch.files.ends_at() > first


def test_a_clock_that_was_set_back_is_due_too(tmp_path: Path) -> None:
    now = Time()
    watch = TlsWatch(tmp_path, (), now)
    now.at = START - timedelta(hours=23)
    assert not watch.is_due()
    now.at = START - timedelta(days=40)
    assert watch.is_due()


def test_what_another_process_renewed_is_taken_anew_once(tmp_path: Path) -> None:
    now = Time()
    watch = TlsWatch(tmp_path, (), now)
    assert not watch.look()
    ensure_local_tls(tmp_path, ("gateway.internal",), now=START)
    assert watch.look()
    assert not watch.look()


def test_a_look_that_fails_is_told_and_the_next_one_mends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = Time()
    watch = TlsWatch(tmp_path, (), now)
    key = tmp_path / "tls" / "ca.key"
    kept = key.read_bytes()
    key.write_bytes(b"")
    now.at = START + timedelta(days=380)
    assert not watch.look()
    assert str(key) in caplog.text
    assert not watch.is_due()
    key.write_bytes(kept)
    assert watch.look()


def test_a_certificate_of_a_clock_that_was_ahead_is_renewed_at_the_next_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = Time()
    now.at = START + timedelta(days=400)
    watch = TlsWatch(tmp_path, (), now)
    now.at = START
    assert watch.is_due() and watch.look()
    assert "begins on 2028-02-04" in caplog.text
    assert not watch.look()
