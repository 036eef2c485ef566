"""Usage is a vector of disjoint classes."""

import pytest

from tenantry.domain.usage import TokenClass, Usage


def test_every_class_is_a_field_and_the_other_way_round():
    usage = Usage(**{name.value: n for n, name in enumerate(TokenClass, 1)})
    assert usage.items() == [(name, n) for n, name in enumerate(TokenClass, 1)]
    assert set(Usage.__dataclass_fields__) == {name.value for name in TokenClass}


def test_items_leaves_out_what_was_not_used():
    assert Usage().items() == []
    assert Usage(out=3, cache_read=2).items() == [(TokenClass.CACHE_READ, 2), (TokenClass.OUT, 3)]


def test_sums_by_class():
    total = Usage(uncached_in=1, out=2) + Usage(out=3, guardrail_topic=4)
    assert total == Usage(uncached_in=1, out=5, guardrail_topic=4)


def test_prompt_tokens_are_all_that_went_in():
    usage = Usage(uncached_in=2, cache_read=13_923, cache_write_5m=2_262, cache_write_1h=5_000)
    assert usage.prompt_tokens == 21_187
    assert Usage(out=9).prompt_tokens == 0


@pytest.mark.parametrize("count", [-1, 1.0, True, "1", None])
def test_a_count_is_a_natural_number(count):
    with pytest.raises(AssertionError):
        Usage(out=count)
