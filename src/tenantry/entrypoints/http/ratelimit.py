"""`RateLimit-Policy` and `RateLimit`: a plan's limits, and what is left of the tightest
(draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

from functools import lru_cache

from tenantry.domain.period import civil_day
from tenantry.domain.plan import Plan
from tenantry.domain.tenant import Tenant
from tenantry.ports.admission import Admitted

_MINUTE_S = 60
_COUNTED = ("requests_per_minute", "tokens_per_minute", "requests_per_day")


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


def left_header(tenant: Tenant, admitted: Admitted) -> str:
    """`"requests_per_minute";r=295;t=60`: of the limit with the least share left, as admission left
    it with this request's own reservation taken; empty where nothing is limited."""
    left = {name: int(admitted.remaining[name]) for name in _COUNTED if name in admitted.remaining}
    quotas = {name: getattr(tenant.plan, name) for name in left}
    limited = [name for name in left if quotas[name]]  # the plan may be older than the verdict
    if not limited:
        return ""
    name = min(limited, key=lambda limit: left[limit] / quotas[limit])
    ends_s = _MINUTE_S
    if name == "requests_per_day":
        day = civil_day(admitted.at, tenant.zone)
        ends_s = int((day.end - admitted.at).total_seconds()) + 1
    return f'"{name}";r={max(left[name], 0)};t={ends_s}'
