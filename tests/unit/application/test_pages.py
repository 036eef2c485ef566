"""A list that is read in pages is read to its end."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tenantry.application.pages import to_the_end


@given(st.sets(st.integers(0, 200)), st.integers(1, 7))
def test_all_rows_come_once_and_in_order(numbers: set[int], size: int) -> None:
    asked: list[int | None] = []

    async def page(after: int | None) -> list[int]:
        asked.append(after)
        return [n for n in sorted(numbers) if after is None or n > after][:size]

    assert asyncio.run(to_the_end(page, lambda number: number)) == sorted(numbers)
    assert len(asked) == len(set(asked))
