"""What is dropped, doubled, mispriced or of no known model is found, each by its id.

Traffic of two tenants in two accounts crosses the wire; the log is the emulator's own, and so are
the files. What is wrong is put into copies of the log, and into one posting of the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.s3_server import s3_server
from tests.support.stack_command import tenantry
from tests.support.traffic import CALLS, REQUESTS, Traffic, reconcile

DROPPED, DOUBLED = REQUESTS * 2 * 5 // 1_000, REQUESTS * 2 * 2 // 1_000
OTHER_MODEL = "amazon.nova-unheard-of-v1:0"
Record = dict[str, Any]


def log_files(root: Path) -> dict[Path, list[Record]]:
    return {
        path: [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for path in sorted(root.rglob("*.json.gz"))
    }


def write(path: Path, records: list[Record]) -> None:
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    path.write_bytes(gzip.compress(lines))


def attempt_of(record: Record) -> str:
    return f"{record['requestMetadata']['rid']}/{record['requestMetadata']['att']}"


def by_tenant(record: Record) -> tuple[str, str]:
    """So that breaks planted at regular steps are of both."""
    return record["requestMetadata"]["tid"], attempt_of(record)


def found(report: dict[str, Any], kind: str) -> set[str]:
    return {one["id"] for one in report["breaks"] if one["kind"] == kind}


def copied(traffic: Traffic, folder: Path) -> Path:
    shutil.copytree(traffic.log, folder / "copy", ignore=shutil.ignore_patterns("keys", "kms"))
    return folder / "copy"


def test_the_clean_copy_has_no_break(traffic: Traffic, tmp_path: Path) -> None:
    for options in ((), ("--logs", str(copied(traffic, tmp_path)))):
        status, report, said = reconcile(traffic, "--log-delay-s", "0", *options)
        assert (status, report["breaks"], said) == (0, [], "")
        assert (report["matched"], report["break_count"]) == (CALLS, 0)
        assert report["log"]["records"] == CALLS
        assert report["log"]["unreadable"] == 0


def test_the_log_in_a_bucket_has_no_break(traffic: Traffic) -> None:
    with s3_server() as server:
        for account in traffic.log.iterdir():
            for path in (account / "log").rglob("*.json.gz"):
                name = path.relative_to(account / "log").as_posix()
                server.objects[f"logs/deep/down/{name}"] = path.read_bytes()
        options = ("--log-delay-s", "0", "--logs", "s3://logs/deep/down", "--true-up")
        status, report, said = reconcile(traffic, *options, environment=server.environment())
    assert (status, report["breaks"], said) == (0, [], "")
    assert (report["matched"], report["log"]["files"]) == (CALLS, len(server.objects))
    assert report["trued_up"] == 0, "nothing was unknown"


def test_what_cannot_be_read_is_said_and_1(traffic: Traffic, tmp_path: Path) -> None:
    """The files of all accounts in one folder, as somebody may bring them."""
    flat, asked = tmp_path / "flat", ("--log-delay-s", "0", "--logs", str(tmp_path / "flat"))
    flat.mkdir()
    done = tenantry(traffic.stack.home, "reconcile", *asked)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{flat}: there is no file of an invocation log" in done.stderr
    for number, path in enumerate(log_files(traffic.log)):
        shutil.copy(path, flat / f"{number}.json.gz")
    assert reconcile(traffic, *asked)[0] == 0
    (flat / "other.json.gz").write_bytes(b"no log")
    status, report, said = reconcile(traffic, *asked)
    assert (status, report["break_count"], report["matched"]) == (1, 0, CALLS)
    assert report["log"]["unreadable_named"] == [f"other.json.gz in {flat}"]
    assert "1 files of the log cannot be read to their end" in said


def test_every_planted_break_is_found_by_id(traffic: Traffic, tmp_path: Path) -> None:
    copy = copied(traffic, tmp_path)
    files = log_files(copy)
    every = sorted((r for records in files.values() for r in records), key=by_tenant)
    step = len(every) // (DROPPED + DOUBLED + 3)
    chosen = [attempt_of(record) for record in every[step // 2 :: step]]
    dropped, doubled = chosen[:DROPPED], chosen[DROPPED : DROPPED + DOUBLED]
    [absent, mispriced, token] = chosen[DROPPED + DOUBLED :][:3]
    for path, records in files.items():
        kept = []
        for record in records:
            name = attempt_of(record)
            if name == absent:
                record["modelId"] = OTHER_MODEL
            if name == token:
                record["output"]["outputTokenCount"] += 1
            kept += [record] * (0 if name in dropped else 2 if name in doubled else 1)
        write(path, kept)
    stranger = {**every[0], "requestId": "a-stranger"}
    del stranger["requestMetadata"]
    write(next(iter(files)).with_name("late.json.gz"), [stranger])

    with double_cost(traffic, mispriced) as before:
        status, report, said = reconcile(traffic, "--log-delay-s", "0", "--logs", str(copy))

    assert status == 1
    assert f"{DROPPED + DOUBLED + 4} breaks" in said
    assert found(report, "missing_in_log") == set(dropped)
    assert found(report, "doubled") == set(doubled)
    assert found(report, "model_absent") == {absent}
    assert found(report, "mispriced") == {mispriced}
    assert found(report, "token_difference") == {token}
    assert found(report, "unattributed") == {"a-stranger"}
    assert report["break_count"] == DROPPED + DOUBLED + 4
    assert {one["tenant_id"] for one in report["breaks"]} == {
        traffic.anna.id,
        traffic.bert.id,
        None,
    }
    [wrong] = [one for one in report["breaks"] if one["kind"] == "mispriced"]
    assert [wrong["ledger_usd"], wrong["log_usd"]] == [plain(2 * before), plain(before)]
    # Within the time that a log takes, what is missing may still come; the rest is told.
    status, early, _ = reconcile(traffic, "--logs", str(copy))
    assert (status, early["not_yet_delivered"]) == (1, DROPPED)
    assert found(early, "missing_in_log") == set()
    assert found(early, "doubled") == set(doubled)
    # Another period has nothing to do with it.
    status, other, _ = reconcile(traffic, "--from", "2020-01-01", "--to", "2020-02-01")
    assert (status, other["matched"], other["log"]["records"]) == (0, 0, 0)


@contextlib.contextmanager
def double_cost(traffic: Traffic, attempt: str) -> Iterator[Any]:
    """What no role may do: changes a posting, for a while. Yields the cost that it had."""
    amount = change_cost(traffic, attempt, 2)
    try:
        yield amount / 2
    finally:
        change_cost(traffic, attempt, Decimal("0.5"))


def change_cost(traffic: Traffic, attempt: str, factor: Decimal | int) -> Any:
    async def change() -> Any:
        connection = await asyncpg.connect(traffic.stack.cluster().dsn("superuser"))
        try:
            await connection.execute("SET session_replication_role = 'replica'")
            return await connection.fetchval(
                "UPDATE tenantry.cost_entry SET amount = amount * $2 WHERE request_id = $1"
                " RETURNING amount",
                attempt.partition("/")[0],
                factor,
            )
        finally:
            await connection.close()

    return asyncio.run(change())


def plain(amount: Any) -> str:
    return f"{amount:f}".rstrip("0").rstrip(".")
