"""Log records: late, doubled, foreign, malformed, without usage; each attempt ends once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scripted import NOW, MemoryDirectory

from tenantry.application.true_up import NUMBER_MAX, LogRead, TrueUp, attempt_of
from tenantry.domain.ids import TenantId
from tenantry.domain.markup import Markup
from tenantry.ports.admission import AttemptOutcome
from tenantry.ports.invocation_log import LogFile
from tenantry.ports.ledger import OpenAttempt, ProviderUsage, Violation

HOLD = timedelta(hours=72)
Key = tuple[str, uuid.UUID, int, int]
RID = uuid.UUID(int=7)


def open_attempt(tenant: str = "tnt_acme", rid: uuid.UUID = RID, **more: Any) -> OpenAttempt:
    given = {
        "call": 0, "attempt": 1, "operation": "Converse", "model": "claude", "price_key": "claude",
        "price_version": 1, "markup": Markup(Decimal(3)), "admitted_at": NOW, "charged": True,
        "pinned": {"family": "anthropic", "tier": "default", "write_class": "cache_write_5m"},
    }  # fmt: skip
    return OpenAttempt(tenant_id=TenantId(tenant), request_id=rid, **{**given, **more})


def record(
    tenant: str = "tnt_acme", rid: object = RID, att: object = "0:1", **more: Any
) -> dict[str, Any]:
    return {
        "requestId": "up-1",
        "requestMetadata": {"tid": tenant, "rid": str(rid), "att": att, "env": "local"},
        "input": {"inputTokenCount": 45},
        "output": {"outputTokenCount": 511},
        **more,
    }


class Files:
    """A log of one account."""

    def __init__(self, **files: Sequence[Mapping[str, Any]]) -> None:
        self.content = files
        self.accounts = {"111111111111"}
        self.cut = set[str]()
        self.reads: list[str] = []

    async def covers(self, account: str, region: str) -> bool:
        return account in self.accounts

    async def files(self, since: datetime, done: Container[str]) -> Sequence[str]:
        return sorted(name for name in self.content if name not in done)

    async def records(self, name: str) -> LogFile:
        self.reads.append(name)
        return LogFile(self.content[name], unread="it is cut" if name in self.cut else "")


class Keeper:
    """Open attempts by key; a true-up ends one once."""

    def __init__(self, *attempts: OpenAttempt) -> None:
        self.open = {(a.tenant_id, a.request_id, a.call, a.attempt): a for a in attempts}
        self.running: set[Key] = set()
        self.posted: list[tuple[OpenAttempt, AttemptOutcome]] = []

    async def find_open(self, keys: Sequence[Key]) -> list[OpenAttempt]:
        for _, _, call, attempt in keys:
            assert 0 <= call <= NUMBER_MAX  # a database refuses what is larger
            assert 0 <= attempt <= NUMBER_MAX
        return [self.open[key] for key in keys if key in self.open and key not in self.running]

    async def under_way(self, keys: Sequence[Key]) -> list[Key]:
        return [key for key in keys if key in self.running]

    async def true_up(self, attempt: OpenAttempt, outcome: AttemptOutcome) -> bool:
        key = (attempt.tenant_id, attempt.request_id, attempt.call, attempt.attempt)
        if self.open.get(key) is not attempt:
            return False
        if outcome.end != "unknown":
            del self.open[key]
        self.posted.append((attempt, outcome))
        return True

    async def sweep(self) -> int:
        return 0

    async def open_attempts(self, limit: int) -> list[OpenAttempt]:
        return list(self.open.values())[:limit]

    async def write_off(self, older_than: datetime) -> int:
        return 0

    async def give_up(self, older_than: datetime, account: str | None = None) -> int:
        return 0

    async def provider_usage(self) -> list[ProviderUsage]:
        return []

    async def violations(self, hold: timedelta) -> list[Violation]:
        return []


def read(keeper: Keeper, *logs: Files) -> LogRead:
    named = {f"account-{number}": log for number, log in enumerate(logs)}
    return asyncio.run(TrueUp(keeper, MemoryDirectory(), named).read_logs(NOW, HOLD))


def test_a_late_record_settles_what_was_unknown_once() -> None:
    keeper, log = Keeper(open_attempt()), Files(a=[record()], b=[record()])
    assert read(keeper, log) == LogRead(files=2, records=2, trued_up=1)
    ((_, outcome),) = keeper.posted
    assert (outcome.end, outcome.charged) == ("settled", True)
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.0078")
    assert outcome.rated.charge == Decimal("0.0234")
    assert "trued_up" in outcome.flags


def test_what_no_log_covers_is_settled_by_estimate() -> None:
    late, early = NOW - timedelta(minutes=15), NOW - timedelta(minutes=14)
    seen = {"uncached_in": 45, "out": 20}
    logged = open_attempt(
        rid=uuid.UUID(int=1), account="111111111111", admitted_at=late, estimate=seen
    )
    silent = open_attempt(
        rid=uuid.UUID(int=2), account="222222222222", admitted_at=late, estimate=seen
    )
    fresh = open_attempt(
        rid=uuid.UUID(int=3), account="222222222222", admitted_at=early, estimate=seen
    )
    unseen = open_attempt(rid=uuid.UUID(int=4), account="222222222222", admitted_at=late)
    keeper = Keeper(logged, silent, fresh, unseen)
    true_up = TrueUp(keeper, MemoryDirectory(), {"pool": Files()})
    assert asyncio.run(true_up.settle_by_estimate(NOW, timedelta(minutes=15))) == 1
    ((attempt, outcome),) = keeper.posted
    assert attempt is silent
    assert (outcome.end, outcome.flags) == ("settled", frozenset({"estimated"}))
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.000435")  # 45 in at 3, 20 out at 15 a million
    assert asyncio.run(true_up.settle_by_estimate(NOW, timedelta(minutes=15))) == 0


def test_records_doubled_within_a_file_settle_once() -> None:
    keeper = Keeper(open_attempt())
    assert read(keeper, Files(a=[record(), record(), record()])).trued_up == 1


def test_files_are_read_once_but_early_records_again() -> None:
    async def walk() -> None:
        keeper, log = Keeper(open_attempt()), Files(a=[record()], b=[])
        true_up = TrueUp(keeper, MemoryDirectory(), {"pool": log})
        keeper.running = {
            ("tnt_acme", RID, 0, 1)
        }  # its worker has died, and no sweep has found it yet
        assert (await true_up.read_logs(NOW, HOLD)).trued_up == 0
        keeper.running = set()
        assert (await true_up.read_logs(NOW, HOLD)).trued_up == 1
        assert (await true_up.read_logs(NOW, HOLD)).files == 0
        assert log.reads == ["a", "b", "a"]

    asyncio.run(walk())


def test_a_record_of_another_tenant_ends_nothing() -> None:
    keeper = Keeper(open_attempt("tnt_acme"))
    for tenant in ("tnt_bolt", "", None):
        assert read(keeper, Files(a=[record(tenant)])).trued_up == 0  # type: ignore[arg-type]
    assert list(keeper.open) == [("tnt_acme", RID, 0, 1)]


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"requestMetadata": None},
        {"requestMetadata": "tid"},
        {"requestMetadata": {"rid": str(RID)}},
        record(rid="not-a-uuid"),
        record(att="0"),
        record(att="0:"),
        record(att="-1:1"),
        record(att="99999:1"),
        record(att="0:40000"),
        record(att="0:1:2"),
        record(att="١:١"),
        record(att="1_0:1"),
        record(att=None),
    ],
)
def test_records_that_are_not_ours_disturb_nothing(strange: dict[str, Any]) -> None:
    assert attempt_of(strange) is None
    keeper = Keeper(open_attempt())
    assert read(keeper, Files(a=[strange, record()])).trued_up == 1


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.text())
def test_no_record_raises(metadata: dict[str, Any], att: str) -> None:
    for strange in ({"requestMetadata": metadata}, record(att=att)):
        key = attempt_of(strange)
        assert key is None or (0 <= key[2] <= NUMBER_MAX and 0 <= key[3] <= NUMBER_MAX)


@pytest.mark.parametrize(
    "broken",
    [
        {"input": {}},
        {"input": {"inputTokenCount": -1}},
        {"input": {"inputTokenCount": "45"}},
        {"input": {"inputTokenCount": float("nan")}},
        {"input": None},
        {"output": {}},
        {"output": 7},
    ],
)
def test_usage_that_cannot_be_trusted_stays_open_and_quarantined(broken: dict[str, Any]) -> None:
    keeper = Keeper(open_attempt())
    read(keeper, Files(a=[record(**broken)]))
    ((_, outcome),) = keeper.posted
    assert (outcome.end, outcome.rated) == ("unknown", None)
    assert outcome.quarantined
    assert keeper.open


def test_a_call_that_failed_before_any_token_is_released() -> None:
    keeper = Keeper(open_attempt())
    read(keeper, Files(a=[record(errorCode="ThrottlingException", input={}, output={})]))
    ((_, outcome),) = keeper.posted
    assert outcome.end == "released"


def test_waste_stays_waste() -> None:
    keeper = Keeper(open_attempt(charged=False))
    read(keeper, Files(a=[record()]))
    ((_, outcome),) = keeper.posted
    assert (outcome.end, outcome.charged) == ("settled", False)


def test_what_failed_upstream_is_nobodys_answer() -> None:
    """Its worker died, so that only the log tells that it failed, and after how much."""
    keeper = Keeper(open_attempt())
    read(keeper, Files(a=[record(errorCode="ModelStreamErrorException")]))
    ((_, outcome),) = keeper.posted
    assert (outcome.end, outcome.charged) == ("settled", False)
    assert outcome.rated is not None
    assert outcome.rated.cost == Decimal("0.0078")


def test_the_classes_are_those_pinned_at_admission() -> None:
    pinned = {"family": "anthropic", "tier": "priority", "write_class": "cache_write_1h"}
    keeper = Keeper(open_attempt(pinned=pinned))
    written = {"inputTokenCount": 2, "cacheWriteInputTokenCount": 1_000}
    read(keeper, Files(a=[record(input=written, output={"outputTokenCount": 0})]))
    ((_, outcome),) = keeper.posted
    assert outcome.service_tier == "priority"
    assert outcome.usage.cache_write_1h == 1_000
    assert outcome.usage.cache_write_5m == 0


def test_what_has_no_price_is_never_free() -> None:
    keeper = Keeper(open_attempt(price_key="gone"))
    read(keeper, Files(a=[record()]))
    ((_, outcome),) = keeper.posted
    assert (outcome.end, outcome.rated) == ("unknown", None)
    assert outcome.quarantined is not None
    assert outcome.quarantined.startswith("unpriced")


def test_two_accounts_with_files_of_one_name() -> None:
    other = uuid.UUID(int=8)
    keeper = Keeper(open_attempt(), open_attempt("tnt_bolt", other))
    done = read(keeper, Files(a=[record()]), Files(a=[record("tnt_bolt", other)]))
    assert (done.files, done.trued_up) == (2, 2)


def test_a_file_that_is_not_whole_is_read_again_until_it_is_and_ever_more_seldom() -> None:
    """Each wait is as long as all before it, and ten minutes at most."""
    name = "AWSLogs/111111111111/BedrockModelInvocationLogs/us-east-1/2026/11/30/00/a.json.gz"
    log = Files(**{name: [record()]})
    log.cut = {name}
    keeper = Keeper(open_attempt())
    true_up = TrueUp(keeper, MemoryDirectory(), {"pool": log})

    def at(minute: int) -> LogRead:
        return asyncio.run(true_up.read_logs(NOW + timedelta(minutes=minute), HOLD))

    first = at(0)
    assert (first.files, first.records, first.trued_up) == (0, 1, 1), "what is whole counts"
    assert first.problem("pool", "111111111111", "us-east-1") == (
        f"{name} cannot be read to its end: it is cut"
    )
    assert first.problem("pool", "111111111111", "eu-west-1") == ""
    assert first.problem("pool", "222222222222", "us-east-1") == ""
    assert first.problem("other", "222222222222", "us-east-1") != "", "nobody read it"
    read_at = [0]
    for minute in range(1, 61):
        before = len(log.reads)
        assert at(minute).problem("pool", "111111111111", "us-east-1")
        if len(log.reads) > before:
            read_at.append(minute)
    assert read_at == [0, 1, 2, 4, 8, 16, 26, 36, 46, 56]
    log.cut = set()
    assert at(66).problem("pool", "111111111111", "us-east-1") == ""
    assert at(67).files == 0, "it is done with"


@pytest.mark.parametrize("gone", [False, True])
def test_of_a_file_whose_name_says_nothing_it_may_be_anybodys(gone: bool) -> None:
    log = Files(a=[], b=[])
    log.cut = {"a", "b"}
    true_up = TrueUp(Keeper(), MemoryDirectory(), {"pool": log})
    found = asyncio.run(true_up.read_logs(NOW, HOLD))
    assert found.problem("pool", "222222222222", "us-east-1").endswith(", and 1 more files")
    if gone:
        log.content.clear()
        found = asyncio.run(true_up.read_logs(NOW, HOLD))
        assert found.problem("pool", "222222222222", "us-east-1") == "", "it is waited for no more"
