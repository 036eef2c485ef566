"""What a chat completion says that it used."""

from tenantry.domain.usage import Usage
from tenantry.entrypoints.http.openai.from_converse import to_usage


def test_all_classes_of_the_prompt_are_told_apart() -> None:
    """`prompt_tokens` holds them all, and the details say how many were priced otherwise."""
    used = Usage(
        uncached_in=10, cache_read=200, cache_write_5m=3_000, cache_write_1h=40_000, out=7,
        embedding=5,
    )  # fmt: skip
    assert to_usage(used) == {
        "prompt_tokens": 43_210,
        "completion_tokens": 7,
        "total_tokens": 43_217,
        "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 43_000},
    }
