"""Delivery of records: when they are due, in which folder, and after an accident."""

from __future__ import annotations

import asyncio
import errno
import gzip
from datetime import UTC, datetime

import orjson
import pytest
from tests.support.emulator import read_log
from tests.support.full_disk import files_of_at_most

from bedrock_emulator import invocation_log
from bedrock_emulator.engine.types import TokenUsage
from bedrock_emulator.invocation_log import Delivery, InvocationLog, entry_of
from bedrock_emulator.log_record import Invocation, log_record
from bedrock_emulator.log_settings import LogSettings

AT = datetime(2026, 11, 23, 23, 59, 59, 900_000, tzinfo=UTC)


def record(request_id: str, account: str = "111111111111", at: datetime = AT, **settings):
    invocation = Invocation(
        account=account,
        arn=f"arn:aws:iam::{account}:user/x",
        region="us-east-1",
        request_id=request_id,
        operation="Converse",
        model_id="m",
        timestamp=at,
    )
    return log_record(
        invocation,
        LogSettings(**settings),
        TokenUsage(3, 4, 5, 6, 7),
        request_body={"messages": [{"content": [{"image": {"format": "png", "source": {}}}]}]},
        response_body={"x": 1},
    )


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def names(folder):
    return [entry["requestId"] for entry in read_log(folder)]


def test_records_come_when_they_are_due(tmp_path, clock):
    async def run():
        log = InvocationLog(tmp_path / "spool", Delivery(10, 0), clock)
        log.append(entry_of(tmp_path / "one", record("a")))
        clock.now_s = 5
        log.append(entry_of(tmp_path / "two", record("b", "222222222222")))
        for now_s, expected in ((9.9, ([], [])), (10, (["a"], [])), (15, (["a"], ["b"]))):
            clock.now_s = now_s
            await log._deliver(clock())
            assert (names(tmp_path / "one"), names(tmp_path / "two")) == expected
        assert log.pending == 0
        await log.close()
        assert not list((tmp_path / "spool").iterdir())

    asyncio.run(run())


def test_a_record_lies_in_the_hour_of_its_call(tmp_path, clock):
    async def run():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        log.append(entry_of(tmp_path, record("a")))
        assert await log.flush() == 1
        await log.close()

    asyncio.run(run())
    folder = "AWSLogs/111111111111/BedrockModelInvocationLogs/us-east-1/2026/11/23/23"
    [file] = (tmp_path / folder).iterdir()
    assert file.name.endswith(".json.gz")


def test_a_full_disk_loses_nothing(tmp_path, clock, monkeypatch):
    async def run():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        for name in "abc":
            log.append(entry_of(tmp_path / "one", record(name)))
        with monkeypatch.context() as broken:

            def full(*_):
                raise OSError(errno.ENOSPC, "no space")

            broken.setattr(invocation_log, "_write_batch", full)
            with pytest.raises(OSError, match="no space"):
                await log.flush()
        assert log.pending == 3
        assert await log.flush() == 3
        await log.close()

    asyncio.run(run())
    assert sorted(names(tmp_path / "one")) == ["a", "b", "c"]


def test_a_record_that_a_full_disk_cut_short_is_taken_back(tmp_path, clock):
    """Else it would be spooled by half, and none behind it be read again."""

    async def crash():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        log.append(entry_of(tmp_path / "one", record("a")))
        (spool,) = (tmp_path / "spool").iterdir()
        size = spool.stat().st_size
        with files_of_at_most(size + size // 2), pytest.raises(OSError, match="File too large"):
            log.append(entry_of(tmp_path / "one", record("b")))
        assert spool.stat().st_size == size
        log.append(entry_of(tmp_path / "two", record("c", "222222222222")))

    async def restart():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        await log.close()

    asyncio.run(crash())
    asyncio.run(restart())
    assert (names(tmp_path / "one"), names(tmp_path / "two")) == (["a"], ["c"])


def test_what_a_crash_left_is_delivered_by_the_next_start(tmp_path, clock):
    async def crash():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        log.append(entry_of(tmp_path / "one", record("a")))
        await log.flush()
        log.append(entry_of(tmp_path / "one", record("b")))
        log.append(entry_of(tmp_path / "two", record("c", "222222222222")))

    async def restart():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        assert log.pending == 2
        await log.close()

    asyncio.run(crash())
    spool = sorted((tmp_path / "spool").iterdir())[-1]
    spool.write_bytes(spool.read_bytes() + b'["torn')
    asyncio.run(restart())
    assert sorted(names(tmp_path / "one")) == ["a", "b"]
    assert names(tmp_path / "two") == ["c"]


def test_counts_are_bedrocks():
    made = record("a")
    assert made["timestamp"] == "2026-11-23T23:59:59Z"
    assert made["input"] == {
        "inputContentType": "application/json",
        "inputTokenCount": 3,
        "cacheReadInputTokenCount": 5,
        "cacheWriteInputTokenCount": 13,
    }
    assert made["output"] == {"outputContentType": "application/json", "outputTokenCount": 4}
    assert "requestMetadata" not in made
    assert "errorCode" not in made


def test_media_need_a_switch_of_their_own():
    def image(**settings):
        return record("a", **settings)["input"]["inputBodyJson"]["messages"][0]["content"][0]

    assert image(text=True) == {"image": {"format": "png"}}
    assert image(text=True, image=True) == {"image": {"format": "png", "source": {}}}
    assert "inputBodyJson" not in record("a", image=True)["input"]


LONG = {"data/a_input.json.gz": b"a long body"}


def long_body(folder):
    [file] = folder.glob("**/data/a_input.json.gz")
    return gzip.decompress(file.read_bytes())


def test_long_bodies_come_with_their_record(tmp_path, clock):
    async def run():
        log = InvocationLog(tmp_path / "spool", Delivery(10, 0), clock)
        log.append(entry_of(tmp_path / "one", record("a"), LONG))
        assert not (tmp_path / "one").exists()
        await log.close()

    asyncio.run(run())
    assert names(tmp_path / "one") == ["a"]
    assert long_body(tmp_path / "one") == b"a long body"


def test_long_bodies_outlive_a_crash(tmp_path, clock):
    async def crash():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        log.append(entry_of(tmp_path / "one", record("a"), LONG))
        log.append(entry_of(tmp_path / "one", record("b")))

    async def restart():
        await InvocationLog(tmp_path / "spool", Delivery(), clock).close()

    asyncio.run(crash())
    [spool] = (tmp_path / "spool").iterdir()
    first, second = spool.read_bytes().splitlines()
    older = orjson.dumps(orjson.loads(second)[:2])  # as a version without bodies left it
    spool.write_bytes(first + b"\n" + older + b"\n")
    asyncio.run(restart())
    assert sorted(names(tmp_path / "one")) == ["a", "b"]
    assert long_body(tmp_path / "one") == b"a long body"


def test_a_folder_that_cannot_be_written_to_holds_up_no_other(tmp_path, clock):
    (tmp_path / "one").touch()

    async def run():
        log = InvocationLog(tmp_path / "spool", Delivery(), clock)
        log.append(entry_of(tmp_path / "one", record("a"), LONG))
        log.append(entry_of(tmp_path / "two", record("b", "222222222222")))
        for _ in range(3):
            with pytest.raises(OSError, match="one"):
                await log.flush()
            assert log.pending == 1
        assert names(tmp_path / "two") == ["b"]
        (tmp_path / "one").unlink()
        assert await log.flush() == 1
        await log.close()

    asyncio.run(run())
    assert names(tmp_path / "one") == ["a"]
    assert long_body(tmp_path / "one") == b"a long body"
