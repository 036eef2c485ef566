"""A file of an archive that is begun and not completed, as where the worker has to end."""

from __future__ import annotations

import gc
import sys
from datetime import date
from pathlib import Path

import pytest

from tenantry.adapters.archive.parquet import ParquetArchive
from tenantry.adapters.objects.durable_file import DurableFiles


class Broken(Exception):
    pass


def test_a_file_that_is_given_up_leaves_nothing_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with (
        pytest.raises(Broken),
        ParquetArchive(tmp_path, DurableFiles()).writing("2026-01/1", "cost", date(2026, 1, 1)),
    ):
        raise Broken
    gc.collect()
    assert told == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
