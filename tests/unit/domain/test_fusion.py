"""What words are worth beside vectors, and who may be found."""

from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.access import Permission
from tenantry.domain.document import Card
from tenantry.domain.filter import filter_from
from tenantry.domain.fusion import KEYWORD_WEIGHT, bonus, damping, rarity, word_score

COUNTS = st.integers(1, 10_000)


@given(COUNTS, st.data())
def test_a_rarer_word_is_worth_more_and_none_less_than_nothing(
    passages: int, data: st.DataObject
) -> None:
    holding = data.draw(st.integers(1, passages))
    assert rarity(passages, holding) > 0
    if holding > 1:
        assert rarity(passages, holding - 1) > rarity(passages, holding)
    assert rarity(passages, 0) == 0


@given(st.integers(1, 100), st.floats(1, 1_000), st.floats(1, 1_000))
def test_more_counts_for_ever_less_and_length_for_the_less(
    count: int, length: float, mean: float
) -> None:
    damped = damping(length / mean)
    more = word_score(1.0, count + 1, damped) - word_score(1.0, count, damped)
    again = word_score(1.0, count + 2, damped) - word_score(1.0, count + 1, damped)
    assert more > again > 0
    assert word_score(1.0, count, damping((length + 1) / mean)) < word_score(1.0, count, damped)
    assert word_score(1.0, 1_000_000, damped) < 2.2 + 1e-9


def test_the_best_gets_the_whole_weight_and_nothing_divides_by_zero() -> None:
    assert bonus(7.5, 7.5) == KEYWORD_WEIGHT
    assert bonus(0.0, 7.5) == bonus(0.0, 0.0) == 0.0


def test_a_permission_is_groups_and_filter_together() -> None:
    tagged = Card("T", "text/plain", metadata={"year": 2026}, access=frozenset({"hr"}))
    plain = Card("P", "text/plain", metadata={"year": 2025})
    hr, nobody = frozenset({"hr"}), frozenset[str]()
    this_year = filter_from({"year": 2026})
    assert [Permission(hr)(card) for card in (tagged, plain)] == [True, True]
    assert [Permission(nobody)(card) for card in (tagged, plain)] == [False, True]
    assert [Permission(hr, this_year)(card) for card in (tagged, plain)] == [True, False]
    assert [Permission(nobody, this_year)(card) for card in (tagged, plain)] == [False, False]
    assert Permission(nobody, this_year).sees(nobody), "a filter hides nothing"
