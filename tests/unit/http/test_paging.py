"""Members of query strings that lists take."""

import pytest

from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.paging import PAGE_MAX, page_of


def test_a_page_is_as_long_as_was_asked_for() -> None:
    assert page_of({}) == (None, PAGE_MAX)
    assert page_of({"limit": "007", "cursor": "c"}) == ("c", 7)


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "1.0", "\u00b2", "1 ", "000000001" + "9" * 30, "9" * 5_000]
)
def test_a_limit_that_is_none_is_refused_whatever_it_begins_with(limit: str) -> None:
    with pytest.raises(BadRequest):
        page_of({"limit": limit})
