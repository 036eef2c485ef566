"""Identifiers sort by time, hold their random bits, and say nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.ids import prefixed, uuid7

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


@given(TIMES, RANDOM)
def test_the_layout_is_that_of_rfc_9562(unix_ms: int, randomness: bytes) -> None:
    made = uuid7(unix_ms, randomness)
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == unix_ms
    kept = ~(0xF << 76 | 0x3 << 62) & (1 << 80) - 1
    assert made.int & kept == int.from_bytes(randomness, "big") & kept


def test_the_example_of_rfc_9562() -> None:
    """Appendix A.6: 2022-02-22T19:22:22Z, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F."""
    randomness = (0xCC3 << 64 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert str(uuid7(1_645_557_742_000, randomness)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize("size", [0, 9, 11, 16])
def test_randomness_is_ten_bytes(size: int) -> None:
    with pytest.raises(AssertionError):
        uuid7(0, bytes(size))


@given(TIMES, RANDOM, TIMES, RANDOM)
def test_ids_sort_as_their_times(first: int, some: bytes, second: int, other: bytes) -> None:
    left, right = prefixed("doc", uuid7(first, some)), prefixed("doc", uuid7(second, other))
    if first != second:
        assert (left < right) == (first < second)


@given(TIMES, RANDOM, RANDOM)
def test_ids_are_as_many_as_their_numbers(unix_ms: int, some: bytes, other: bytes) -> None:
    left, right = uuid7(unix_ms, some), uuid7(unix_ms, other)
    assert (prefixed("tnt", left) == prefixed("tnt", right)) == (left == right)
    assert len(prefixed("tnt", left)) == len("tnt_") + 26
    assert not set(prefixed("tnt", left).removeprefix("tnt_")) & set("ilou")
