"""Lines on disk come back in order, all of them, however small the memory is."""

from hypothesis import given
from hypothesis import strategies as st

from tenantry.adapters.sorting import DiskSorter

LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(LINES, max_size=60), st.integers(1, 40), st.integers(2, 4))
def test_every_line_comes_back_in_order(lines: list[str], chars_max: int, runs_max: int) -> None:
    with DiskSorter(run_chars_max=chars_max, runs_max=runs_max) as sorter:
        for line in lines:
            sorter.add(line)
        assert list(sorter.in_order()) == sorted(lines)
