"""A write that fails changes nothing and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.domain.errors import Unavailable


def test_where_a_file_cannot_be_replaced_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "note").mkdir()
    with pytest.raises(Unavailable):
        DurableFiles().replace(tmp_path / "note", b"more")
    assert [each.name for each in tmp_path.iterdir()] == ["note"]
