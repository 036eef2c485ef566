"""The bill adds up, outlives a crash, and keeps accounts apart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from tests.support.full_disk import files_of_at_most

from bedrock_emulator.bill import Bill, Charge
from bedrock_emulator.engine.types import TokenUsage
from bedrock_emulator.files import DamagedFileError

AT = datetime(2026, 11, 23, tzinfo=UTC)


def charge(account: str, number: int) -> Charge:
    return Charge(
        account=account,
        region="us-east-1",
        request_id=f"{account}-{number}",
        operation="Converse",
        model_id="us.m",
        model="m",
        usage=TokenUsage(number, 2, 3, 4, 5),
        guardrail={"topicPolicyUnits": 2},
        service_tier="default",
        inference_region=None,
        request_metadata={},
        invocation_id=None,
        error_code=None,
        timestamp=AT,
    )


@pytest.mark.parametrize("mode", ["durable", "batched"])
def test_totals_by_account_also_after_a_torn_last_line(tmp_path, mode):
    path = tmp_path / "bill.jsonl"

    async def first():
        bill = Bill(path, mode)
        for number in range(10):
            bill.append(charge("one", number))
        bill.append(charge("two", 7))
        await asyncio.gather(*(bill.settled() for _ in range(5)))
        page = bill.read("one", 2, 3)
        assert [r["request_id"] for r in page["records"]] == ["one-2", "one-3", "one-4"]
        assert page["more"]
        assert list(page["totals"]) == ["one"]
        bill.close()

    async def second():
        bill = Bill(path, mode)
        bill.append(charge("two", 1))
        await bill.settled()
        answer = bill.read(None, 0, 100)
        assert len(answer["records"]) == 12
        assert not answer["more"]
        assert answer["totals"]["one"] == {
            "invocations": 10,
            "input": 45,
            "output": 20,
            "cache_read": 30,
            "cache_write_5m": 40,
            "cache_write_1h": 50,
            "topicPolicyUnits": 20,
        }
        assert answer["totals"]["two"]["input"] == 8
        bill.close()

    asyncio.run(first())
    path.write_bytes(path.read_bytes() + b'{"account": "one", "usa')
    asyncio.run(second())


def test_what_a_full_disk_cut_short_is_taken_back(tmp_path):
    """Else the next record would join what was written of the one before."""
    path = tmp_path / "bill.jsonl"

    async def run():
        bill = Bill(path, "durable")
        bill.append(charge("one", 1))
        size = path.stat().st_size
        with (
            files_of_at_most(size + size // 2),
            pytest.raises(OSError, match="File too large"),
        ):
            bill.append(charge("one", 2))
        assert path.stat().st_size == size
        bill.append(charge("two", 3))
        bill.close()
        again = Bill(path, "durable")
        answer = again.read(None, 0, 100)
        again.close()
        assert [r["request_id"] for r in answer["records"]] == ["one-1", "two-3"]
        assert answer["totals"]["one"]["input"] == 1

    asyncio.run(run())


@pytest.mark.parametrize("wrong", [b'{"account": "one", "usa{"account"', b'{"account": "one"}'])
def test_a_damaged_line_is_named_with_what_to_do(tmp_path, wrong):
    path = tmp_path / "bill.jsonl"

    async def run():
        bill = Bill(path, "durable")
        for number in range(2):
            bill.append(charge("one", number))
        bill.close()
        path.write_bytes(path.read_bytes() + wrong + b"\n")
        with pytest.raises(DamagedFileError, match="is damaged in line 3: ") as refused:
            Bill(path, "durable")
        assert str(refused.value).startswith(str(path))
        assert "line 1" not in str(refused.value)
        assert "take that line out" in str(refused.value)

    asyncio.run(run())
