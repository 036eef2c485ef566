"""`RateLimit-Policy`: a plan's limits (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

from functools import lru_cache

from tenantry.domain.plan import Plan


def policy_header(plan: Plan) -> str:
    """`"requests_per_minute";q=300;w=60, …`; empty where nothing is limited."""
    return _policy(
        plan.requests_per_minute,
        plan.tokens_per_minute,
        plan.requests_per_day,
        plan.concurrent_requests,
    )


@lru_cache(maxsize=256)
def _policy(
    per_minute: int | None, tokens: int | None, per_day: int | None, concurrent: int | None
) -> str:
    items = (
        ("requests_per_minute", per_minute, ";w=60"),
        ("tokens_per_minute", tokens, ';w=60;qu="tokens"'),
        ("requests_per_day", per_day, ";w=86400"),
        ("concurrent_requests", concurrent, ';qu="concurrent-requests"'),
    )
    return ", ".join(f'"{name}";q={q}{rest}' for name, q, rest in items if q is not None)
