"""Two accounts of the same calls, held against each other request by request.

Owns: what a break is, which facts make one, and what each is worth. Does not own: where the facts
come from; reading and sorting them.
Invariants: both streams come in ascending order of key and are passed once, so nothing grows with
their length; a fact is judged once; a record that is missing is a break, never proof of no charge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from tenantry.domain import money
from tenantry.domain.markup import AT_COST
from tenantry.domain.price import BATCH_TIER, STANDARD_TIER, PriceEdition, Unpriced
from tenantry.domain.rating import rate
from tenantry.domain.usage import GUARDRAIL_CLASSES, NO_USAGE, TokenClass, Usage

_UNDER_WAY = frozenset({"reserved", "dispatched"})
_COUNTED = ("in", "read", "write", "out")  # what the invocation log counts
_UNLOGGED = frozenset(token_class.value for token_class in GUARDRAIL_CLASSES)
_Figures: TypeAlias = tuple[int, int, int, int]


class BreakKind(StrEnum):
    """Why ledger and log do not agree."""

    MISSING_IN_LOG = "missing_in_log"  # booked, and no record of it was delivered in time
    UNATTRIBUTED = "unattributed"  # logged, and no attempt of the ledger is it
    DOUBLED = "doubled"  # one attempt, and a further record
    TOKEN_DIFFERENCE = "token_difference"  # noqa: S105 - both have it, with other counts
    MISPRICED = "mispriced"  # the booked cost is not that of the edition at admission
    MODEL_ABSENT = "model_absent"  # the record's model is not in the price book
    UNKNOWN = "unknown"  # no end was seen, and none has been posted


def attempt_key(tenant_id: str, request_id: UUID, call: int, attempt: int) -> str:
    """What both streams are ordered by, as text: the order of the columns in the database."""
    return f"{tenant_id}\t{request_id}/{call:05}:{attempt:05}"


def stranger_key(upstream_request_id: str) -> str:
    """The key of a record that names no attempt: before every attempt's."""
    return f"\t{upstream_request_id}"


@dataclass(frozen=True, slots=True)
class Booked:
    """An attempt as the ledger has it, with all that was posted for it."""

    tenant_id: str
    request_id: UUID
    call: int
    attempt: int
    state: str  # settled, released, written_off; of an open one reserved, dispatched, unknown
    model: str
    price_key: str
    price_version: int
    service_tier: str
    admitted_at: datetime
    last_at: datetime  # its end; of an open one its begin
    cost: Decimal = money.ZERO  # USD
    quantities: Mapping[str, int] = field(default_factory=dict)  # by token class
    upstream_request_id: str | None = None
    note: str | None = None  # why it failed, or why its usage was not trusted

    @property
    def key(self) -> str:
        return attempt_key(self.tenant_id, self.request_id, self.call, self.attempt)


@dataclass(frozen=True, slots=True)
class Logged:
    """A record of the log. `usage` None: its figures cannot be read, `note` says why.

    `model` and `price_key` are the catalogue's; None where it does not know `model_id`.
    Cache writes, which a record does not split, all stand under 5 minutes.
    """

    key: str
    at: datetime | None
    upstream_request_id: str
    model_id: str
    model: str | None
    price_key: str | None
    usage: Usage | None
    note: str = ""
    region: str = ""

    def key_in(self, edition: PriceEdition) -> str:
        """What an edition prices it by, in its region."""
        assert self.price_key is not None, "a model that is not known has no key"
        return edition.key_in(self.price_key, self.region)


@dataclass(frozen=True, slots=True)
class Break:
    """What does not agree, by id, with its money in USD.

    `id` is `<request>/<call>:<attempt>`, or the provider's request id where no attempt is named.
    `difference_usd` is the log's cost less the ledger's; None where the log's has no price.
    """

    kind: BreakKind
    id: str
    tenant_id: str | None
    upstream_request_id: str | None
    model: str
    at: datetime | None
    ledger_usd: Decimal
    log_usd: Decimal | None
    difference_usd: Decimal | None
    detail: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The period [start, end), by admission; what is younger than `deliver_by` may still come."""

    start: datetime
    end: datetime
    deliver_by: datetime
    current: PriceEdition  # for records that no booked attempt lends an edition


@dataclass(slots=True)
class Tally:
    """What was no break."""

    matched: int = 0
    nothing_used: int = 0  # booked without usage, and no record is due
    not_logged: int = 0  # of a kind that is in no log: a batch's records
    not_yet_delivered: int = 0
    under_way: int = 0


class Reconciliation:
    """One pass: `feed` every booked attempt in order of key, then `finish`."""

    def __init__(self, logged: Iterator[Logged], terms: Terms) -> None:
        self._logged = logged
        self._terms = terms
        self._next = next(logged, None)
        self._last_key = ""
        self.tally = Tally()

    def feed(self, booked: Booked, edition: PriceEdition) -> Iterator[Break]:
        """The breaks up to and with this attempt. `edition` is the one of its price version."""
        key = booked.key
        assert key > self._last_key, f"{key!r} is fed after {self._last_key!r}"
        self._last_key = key
        yield from self._strangers(before=key)
        first = self._take(key)
        ours = self._terms.start <= booked.admitted_at < self._terms.end
        if ours:
            found = self._judge(booked, first, edition)
            if found is not None:
                yield found
        for surplus in self._rest(key):
            assert first is not None
            if ours:
                log_usd = _log_cost(surplus, booked, edition)
                doubled = _doubled(surplus, first, log_usd)
                yield replace(doubled, at=booked.admitted_at, model=booked.model)

    def finish(self) -> Iterator[Break]:
        """The records behind the last attempt."""
        yield from self._strangers(before=None)

    def _take(self, key: str) -> Logged | None:
        """The next record, if it has this key."""
        record = self._next
        if record is None or record.key != key:
            return None
        self._next = next(self._logged, None)
        assert self._next is None or self._next.key >= key, "the log is not in order"
        return record

    def _rest(self, key: str) -> Iterator[Logged]:
        while (record := self._take(key)) is not None:
            yield record

    def _strangers(self, before: str | None) -> Iterator[Break]:
        while self._next is not None and (before is None or self._next.key < before):
            key = self._next.key
            first = self._take(key)
            assert first is not None
            if self._in_period(first):
                yield _unattributed(first, _log_cost(first, None, self._terms.current))
            for surplus in self._rest(key):
                if self._in_period(surplus):
                    log_usd = _log_cost(surplus, None, self._terms.current)
                    yield _doubled(surplus, first, log_usd)

    def _in_period(self, record: Logged) -> bool:
        """A record without a time is never left out."""
        return record.at is None or self._terms.start <= record.at < self._terms.end

    def _judge(self, booked: Booked, record: Logged | None, edition: PriceEdition) -> Break | None:
        batch = booked.service_tier == BATCH_TIER  # which runs for hours
        if booked.state in _UNDER_WAY or (batch and booked.state == "unknown"):
            self.tally.under_way += 1
            return None
        if booked.state == "unknown":
            return self._unknown(booked, record, edition)
        if record is None:
            return self._unlogged(booked, edition)
        figures = _booked_figures(booked)
        if record.usage is None and not any(figures):
            self.tally.matched += 1  # a model whose records have no counts
            return None
        if record.usage is None or _figures(record.usage) != figures:
            log_usd = _log_cost(record, booked, edition)
            detail = record.note or _difference(booked, record)
            return _found(BreakKind.TOKEN_DIFFERENCE, booked, record, log_usd, detail)
        expected = _booked_cost(booked, record, edition)
        if record.price_key is None or (expected is None and any(figures)):
            detail = f"{record.model_id} has no price in edition {edition.version}"
            return _found(BreakKind.MODEL_ABSENT, booked, record, None, detail)
        if expected != booked.cost:
            other = "" if record.model == booked.model else f"; the log has {record.model_id}"
            detail = f"edition {edition.version}, tier {booked.service_tier}{other}"
            return _found(BreakKind.MISPRICED, booked, record, expected, detail)
        self.tally.matched += 1
        return None

    def _unknown(
        self, booked: Booked, record: Logged | None, edition: PriceEdition
    ) -> Break | None:
        if booked.last_at > self._terms.deliver_by:
            self.tally.not_yet_delivered += 1
            return None
        told = "no record has come" if record is None else "its record is there, to be posted"
        log_usd = None if record is None else _log_cost(record, booked, edition)
        return _found(BreakKind.UNKNOWN, booked, record, log_usd, booked.note or told)

    def _unlogged(self, booked: Booked, edition: PriceEdition) -> Break | None:
        # Batch inference is in no log, as guardrails and rerank queries are not.
        batch = booked.service_tier == BATCH_TIER
        if batch or (booked.state != "written_off" and not any(_booked_figures(booked))):
            expected = _booked_cost(booked, None, edition)
            if expected != booked.cost:
                return _found(BreakKind.MISPRICED, booked, None, expected, "not in the log by kind")
            self.tally.not_logged += batch
            self.tally.nothing_used += not batch
            return None
        if booked.last_at > self._terms.deliver_by:
            self.tally.not_yet_delivered += 1
            return None
        detail = "written off, and never logged" if booked.state == "written_off" else booked.state
        return _found(BreakKind.MISSING_IN_LOG, booked, None, money.ZERO, detail)


def _found(
    kind: BreakKind, booked: Booked, record: Logged | None, log_usd: Decimal | None, detail: str
) -> Break:
    upstream = record.upstream_request_id if record else booked.upstream_request_id
    return Break(
        kind,
        f"{booked.request_id}/{booked.call}:{booked.attempt}",
        booked.tenant_id,
        upstream,
        booked.model,
        booked.admitted_at,
        booked.cost,
        log_usd,
        None if log_usd is None else money.less(log_usd, booked.cost),
        detail,
    )


def _unattributed(record: Logged, log_usd: Decimal | None) -> Break:
    tenant_id, _, named = record.key.partition("\t")
    return Break(
        BreakKind.UNATTRIBUTED,
        _plain_id(named) if tenant_id else record.upstream_request_id,
        tenant_id or None,
        record.upstream_request_id,
        record.model_id,
        record.at,
        money.ZERO,
        log_usd,
        log_usd,
        record.note or ("no such attempt" if tenant_id else "names no attempt"),
    )


def _doubled(record: Logged, first: Logged, log_usd: Decimal | None) -> Break:
    """A further record is worth its whole cost: the ledger has the attempt once."""
    same = record.upstream_request_id == first.upstream_request_id
    detail = "delivered again" if same else f"besides {first.upstream_request_id}"
    return replace(_unattributed(record, log_usd), kind=BreakKind.DOUBLED, detail=detail)


def _plain_id(named: str) -> str:
    """`<request>/00000:00001` as people write it: `<request>/0:1`."""
    request, _, numbers = named.partition("/")
    call, _, attempt = numbers.partition(":")
    return f"{request}/{int(call)}:{int(attempt)}"


def _figures(usage: Usage) -> _Figures:
    """What the log counts of a usage."""
    return (
        usage.uncached_in + usage.embedding,
        usage.cache_read,
        usage.cache_write_5m + usage.cache_write_1h,
        usage.out,
    )


def _booked_figures(booked: Booked) -> _Figures:
    """The same of what was booked; all zero where the log counts nothing of it."""
    of = booked.quantities.get
    return (
        of("uncached_in", 0) + of("embedding", 0),
        of("cache_read", 0),
        of("cache_write_5m", 0) + of("cache_write_1h", 0),
        of("out", 0),
    )


def _difference(booked: Booked, record: Logged) -> str:
    assert record.usage is not None
    pairs = zip(_COUNTED, _booked_figures(booked), _figures(record.usage), strict=True)
    return ", ".join(
        f"{name}: ledger {ours}, log {log}" for name, ours, log in pairs if ours != log
    )


def _booked_cost(booked: Booked, record: Logged | None, edition: PriceEdition) -> Decimal | None:
    """What the booked quantities cost, at the price of the model that answered by the log."""
    key = booked.price_key
    if record is not None and record.price_key is not None and record.model != booked.model:
        key = record.key_in(edition)
    if min(booked.quantities.values(), default=0) < 0:
        return None
    return _priced(Usage(**booked.quantities), key, booked.service_tier, edition)


def _log_cost(record: Logged, booked: Booked | None, edition: PriceEdition) -> Decimal | None:
    """What a record's usage costs. The log has neither tier, units nor a split of cache writes:
    they are the booked attempt's, and the dearest kind of write that it has.
    """
    if record.usage is None or record.price_key is None:
        return None
    if booked is None:
        return _priced(record.usage, record.key_in(edition), STANDARD_TIER, edition)
    same = record.model == booked.model
    usage = record.usage
    if usage.cache_write_5m and booked.quantities.get(TokenClass.CACHE_WRITE_1H.value, 0) > 0:
        short = booked.quantities.get(TokenClass.CACHE_WRITE_5M.value, 0)
        fits = 0 <= short <= usage.cache_write_5m
        short = short if fits else 0
        usage = replace(usage, cache_write_5m=short, cache_write_1h=usage.cache_write_5m - short)
    units = {name: n for name, n in booked.quantities.items() if name in _UNLOGGED and n > 0}
    usage = replace(usage, **units)
    key = booked.price_key if same else record.key_in(edition)
    return _priced(usage, key, booked.service_tier, edition)


def _priced(usage: Usage, key: str, tier: str, edition: PriceEdition) -> Decimal | None:
    if usage == NO_USAGE:
        return money.ZERO
    try:
        return rate(
            usage,
            edition.of(key),
            tier=tier,
            markup=AT_COST,
            guardrails=edition.guardrails,
        ).cost
    except Unpriced:
        return None
