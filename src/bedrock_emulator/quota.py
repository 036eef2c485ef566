"""Requests and tokens a minute for each account, region and model, as Bedrock counts them.

At the start a call takes its prompt (cached or not) and its `max_tokens`; at the end that is
replaced by uncached input + cache writes + output x burndown. Cross-region profiles have lines of
their own; provisioned throughput is bought and takes nothing of them. The counters refill steadily,
a full minute's worth being the most that they hold.
All arithmetic is exact: a counter is kept in units of 1 / (nanoseconds a minute).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bedrock_emulator.accounts import Account, QuotaRule
from bedrock_emulator.engine.types import EmulatedError, Prepared, TokenUsage

NS_PER_MINUTE = 60_000_000_000
COUNTERS_MAX = 100_000  # (account, region, model, scope) lines that have been called


class _Counter:
    """A bucket of `limit` a minute. It may go below zero when a call used more than it took."""

    __slots__ = ("_at_ns", "_level", "limit")

    def __init__(self, limit: int, now_ns: int) -> None:
        self.limit = limit
        self._level = limit * NS_PER_MINUTE
        self._at_ns = now_ns

    def holds(self, amount: int, now_ns: int) -> bool:
        if now_ns > self._at_ns:
            refilled = self._level + (now_ns - self._at_ns) * self.limit
            self._level = min(refilled, self.limit * NS_PER_MINUTE)
            self._at_ns = now_ns
        return self._level >= amount * NS_PER_MINUTE

    def take(self, amount: int) -> None:
        full = self.limit * NS_PER_MINUTE
        self._level = min(self._level - amount * NS_PER_MINUTE, full)


@dataclass(slots=True)
class Reservation:
    """Tokens taken up front by one call; settled or released once, later calls do nothing."""

    _tokens: _Counter | None
    _taken: int
    _burndown: int

    def settle(self, usage: TokenUsage) -> None:
        self._finish(usage.input + usage.cache_write + usage.output * self._burndown)

    def release(self) -> None:
        """Gives everything back: the call failed before anything was generated."""
        self._finish(0)

    def _finish(self, used: int) -> None:
        if self._tokens is not None:
            self._tokens.take(used - self._taken)
            self._tokens = None


class Quotas:
    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._counters: dict[tuple[str, str, str, bool, str], _Counter] = {}

    def reserve(
        self, account: Account, region: str, model_id: str, prepared: Prepared
    ) -> Reservation:
        """Takes one request and the call's tokens, or raises ThrottlingException (429)."""
        rule = _rule(account, region, model_id, prepared.model)
        if rule is None or ":provisioned-model/" in model_id:
            return Reservation(None, 0, prepared.burndown)
        now_ns = self._clock_ns()
        key = (account.id, region, prepared.model, prepared.cross_region)
        amount = prepared.input_tokens + prepared.max_tokens
        requests = self._counter((*key, "requests"), rule.requests_per_minute, now_ns)
        tokens = self._counter((*key, "tokens"), rule.tokens_per_minute, now_ns)
        if requests is not None and not requests.holds(1, now_ns):
            raise throttled("requests")
        if tokens is not None and not tokens.holds(amount, now_ns):
            raise throttled("tokens")
        if requests is not None:
            requests.take(1)
        if tokens is not None:
            tokens.take(amount)
        return Reservation(tokens, amount, prepared.burndown)

    def _counter(
        self, key: tuple[str, str, str, bool, str], limit: int | None, now_ns: int
    ) -> _Counter | None:
        if limit is None:
            return None
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= COUNTERS_MAX:
                raise throttled("requests")
            counter = self._counters[key] = _Counter(limit, now_ns)
        return counter


def throttled(what: str) -> EmulatedError:
    message = f"Too many {what}, please wait before trying again."
    return EmulatedError("ThrottlingException", 429, message)


def _rule(account: Account, region: str, model_id: str, model: str) -> QuotaRule | None:
    for rule in account.quotas:
        if fnmatchcase(region, rule.region) and (
            fnmatchcase(model, rule.model) or fnmatchcase(model_id, rule.model)
        ):
            return rule
    return None
