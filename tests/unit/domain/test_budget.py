"""A budget's words: limits read strictly, subjects that requests can have, ids that say it all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.budget import (
    BASES,
    PERIODS,
    BudgetError,
    BudgetKey,
    Scope,
    key_from_id,
    limit_from,
    subject_of,
)

_SUBJECTS = st.one_of(
    st.just("tenant"),
    st.from_regex(r"run:[A-Za-z0-9_.:/-]{1,128}", fullmatch=True),
    st.from_regex(r"user:[0-9a-f]{32}", fullmatch=True),
)
_KEYS = st.builds(BudgetKey, _SUBJECTS, st.sampled_from(PERIODS), st.sampled_from(BASES))


@given(_KEYS)
def test_an_id_says_which_budget_it_is(key: BudgetKey) -> None:
    assert key_from_id(key.id) == key
    assert key.id.removeprefix("bud_").replace("-", "").replace("_", "").isalnum()


@given(st.one_of(st.text(max_size=300), st.text(max_size=80).map("bud_{}".format)))
def test_what_is_no_id_is_none(text: str) -> None:
    key = key_from_id(text)
    assert key is None or key.id == text


@pytest.mark.parametrize("text", ["0", "5.00", "0.000000000001", "999999999999", "0.25"])
def test_a_limit_is_exact(text: str) -> None:
    assert limit_from(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "1e3", "NaN", "sNaN", "Infinity", ".5", "5.", "1_000", "1,000", "0x1"),
        *("١", "1" * 13, "0." + "1" * 13, " 1", "1 ", "1\n"),
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(BudgetError, match="limit"):
        limit_from(text)


@pytest.mark.parametrize(
    ("scope", "which", "subject"),
    [
        ("tenant", "", "tenant"),
        ("run", "a/b:c.d-e_1", "run:a/b:c.d-e_1"),
        ("user", "0f" * 16, "user:" + "0f" * 16),
        ("api_key", "key_" + "0" * 26, "api_key:key_" + "0" * 26),
    ],
)
def test_a_subject_is_what_admission_counts_by(scope: Scope, which: str, subject: str) -> None:
    assert subject_of(scope, which) == subject
    assert BudgetKey(subject, "day", "charge").scope == (scope, which)


@pytest.mark.parametrize(
    ("scope", "which"),
    [
        ("run", ""),
        ("run", "a b"),
        ("run", "r" * 129),
        ("user", "anna"),
        ("user", "0F" * 16),
        ("api_key", "sk-1"),
        ("api_key", ""),
    ],
)
def test_what_no_request_can_be_of_is_refused(scope: Scope, which: str) -> None:
    with pytest.raises(BudgetError):
        subject_of(scope, which)
