"""What is acknowledged was flushed before: counted in PostgreSQL's statistics, seen by strace."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stack import MODEL, Stack, wait_until
from tests.support.stack_clients import converse_body, converse_path

REQUESTS = 20
COMMITS_PER_REQUEST = 2  # admit before the first byte upstream, settle before the last one down
REPORT_EVERY_S = 1.1  # a backend that ends a transaction reports, but not twice in a second
# Of the backends that admit and settle, by themselves: PostgreSQL 18 counts for each process.
_WAL_FLUSHES = """
SELECT coalesce(sum(i.fsyncs), 0)::bigint
FROM pg_stat_activity a CROSS JOIN LATERAL pg_stat_get_backend_io(a.pid) i
WHERE i.object = 'wal' AND a.query LIKE 'SELECT tenantry.gate_batch%'
"""
_BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'tenantry gateway%'
"""
_SYNC = re.compile(r"^(?:\d+ +)?(\d+\.\d+) (?:fsync|fdatasync)\(\d+\) += 0$", re.MULTILINE)


def test_every_acknowledged_request_is_two_wal_flushes(stack: Stack) -> None:
    anna, bert = stack.tenants()
    client = stack.boto3(anna)

    def ask() -> None:
        client.converse(modelId=MODEL, **converse_body())

    def reported() -> int:
        """The count up to the admission of one more request, which makes the backend report."""
        time.sleep(REPORT_EVERY_S)
        ask()
        count: int = stack.rows(_WAL_FLUSHES)[0][0]
        return count

    ask()
    before = reported()
    for _ in range(REQUESTS):
        ask()
    flushed = reported() - before
    # Between the two reports lie two halves of a request, and all of the others.
    assert flushed >= (REQUESTS + 1) * COMMITS_PER_REQUEST
    # One after the other shares no commit with any; a few more are WAL pages that filled up.
    assert flushed < REQUESTS * (COMMITS_PER_REQUEST + 1)
    assert stack.ledger(bert) == {}


@pytest.mark.slow
def test_strace_sees_each_flush_before_its_acknowledgement(stack: Stack, tmp_path: Path) -> None:
    assert shutil.which("strace"), "strace is missing: apt-get install strace"
    anna, bert = stack.tenants()
    body = {"title": "Kept", "text": "A first one, which also makes keys and folders."}
    assert stack.api(anna).post("/v1/documents", body).status == 201
    stack.wait_settled(anna, bert)
    api = stack.api(anna)
    gateway, backends = stack.gateway_workers(), [row[0] for row in stack.rows(_BACKENDS)]
    with traced(gateway, tmp_path / "gateway"), traced(backends, tmp_path / "postgres"):
        asked = time.time()
        assert api.post(converse_path(MODEL), converse_body()).status == 200
        answered = time.time()
        added = api.post("/v1/documents", {**body, "text": "A second one."})
        assert added.status == 201, added.body
        stored = time.time()
        time.sleep(0.5)
    wal = _syncs(tmp_path / "postgres")
    assert len([at for at in wal if asked < at < answered]) >= COMMITS_PER_REQUEST
    assert [at for at in wal if answered < at < stored], "the document's row is committed"
    files = _syncs(tmp_path / "gateway")
    # The sealed original and the folder that names it, before the client is told.
    assert len([at for at in files if answered < at < stored]) >= 2
    assert stack.ledger(bert) == {}


@contextlib.contextmanager
def traced(pids: list[int], log: Path) -> Iterator[None]:
    """Writes every fsync of these processes and of their threads, with its time, to `log`."""
    command = ["strace", "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(log)]
    for pid in pids:
        command += ["-p", str(pid)]
    with log.with_suffix(".stderr").open("w+b") as said:
        tracer = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            wait_until(
                lambda: log.with_suffix(".stderr").read_bytes().count(b"attached") >= len(pids),
                "strace has attached",
            )
            yield
        finally:
            tracer.terminate()
            tracer.wait(30)


def _syncs(log: Path) -> list[float]:
    """When each sync that succeeded began."""
    return [float(at) for at in _SYNC.findall(log.read_text())]
