"""Objects by ranges: what a search reads of a segment without reading the segment."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from tests.support import knowledge as support

from tenantry.domain.errors import NotFound
from tenantry.ports.objects import ObjectKind, Range, WouldWait

A, B = support.home(support.tenant("tnt_a")), support.home(support.tenant("tnt_b"))


def test_ranges_are_the_bytes_of_the_object_and_end_where_it_ends(tmp_path: Path) -> None:
    objects = support.parts(tmp_path).objects
    data = bytes(range(256)) * 5_000
    asyncio.run(objects.put(A, ObjectKind.SEGMENT, "one", data))
    wanted = [Range(0, 4), Range(700_000, 300_000), Range(1_279_999, 9), Range(2_000_000, 5)]
    found = objects.get_ranges(A, ObjectKind.SEGMENT, "one", wanted)
    assert list(found) == [data[start : start + length] for start, length in wanted]
    assert list(objects.get_ranges(A, ObjectKind.SEGMENT, "one", [])) == []


def test_what_is_read_without_waiting_is_whole_or_refused() -> None:
    """On a disk, if the tests have one: a file system in memory cannot tell, and so refuses."""
    data = bytes(range(256)) * 5_000
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        objects = support.parts(Path(folder)).objects
        asyncio.run(objects.put(A, ObjectKind.SEGMENT, "one", data))
        wanted = [Range(0, 4), Range(700_000, 300_000)]
        objects.get_ranges(A, ObjectKind.SEGMENT, "one", wanted)
        try:
            found = objects.get_ranges(A, ObjectKind.SEGMENT, "one", wanted, wait=False)
        except WouldWait:
            pass
        else:
            assert list(found) == [data[start : start + length] for start, length in wanted]
        for beyond in (Range(1_279_999, 9), Range(2_000_000, 5)):  # less than was asked for
            with pytest.raises(WouldWait):
                objects.get_ranges(A, ObjectKind.SEGMENT, "one", [beyond], wait=False)
        with pytest.raises(NotFound):
            objects.get_ranges(B, ObjectKind.SEGMENT, "one", wanted, wait=False)


@pytest.mark.parametrize("name", ["two", "../segments/one", "", "/etc/passwd"])
def test_what_is_absent_foreign_or_no_name_is_not_found(tmp_path: Path, name: str) -> None:
    objects = support.parts(tmp_path).objects
    asyncio.run(objects.put(A, ObjectKind.SEGMENT, "one", b"of a"))
    with pytest.raises(NotFound):
        objects.get_ranges(A, ObjectKind.SEGMENT, name, [Range(0, 4)])
    for home, kind in ((B, ObjectKind.SEGMENT), (A, ObjectKind.ORIGINAL)):
        with pytest.raises(NotFound):
            objects.get_ranges(home, kind, "one", [Range(0, 4)])
