"""A tenant shredded on the running product: nothing is left to read, and nobody else notices.

`make bench-shred` is the same with 10,000 canaries; these have a stack of their own, whose workers
must be gone afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.canaries import Canaries, NoMemory, memory
from benchmarks.shred import show, traffic
from tests.support.postgres import scratch_folder
from tests.support.stack import MODEL, Stack, wait_until
from tests.support.stack_clients import converse_body, converse_path
from tests.support.stack_command import tenantry

CANARIES = 100
CTRL_C = b"\x03"
ON_A_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def shredding() -> Iterator[Stack]:
    with scratch_folder() as folder, Stack(folder) as started:
        yield started


pytestmark = pytest.mark.xdist_group("shredding")


def test_no_canary_is_left_and_no_request_is_lost(shredding: Stack, tmp_path: Path) -> None:
    seen = can_look(shredding.gateway_workers()[0])
    shown = show(shredding, tmp_path, CANARIES, in_memory=seen)
    assert shown.before["planted"] == 2
    assert not seen or shown.before["memory"] > 0
    assert not seen or shown.in_clear.keys() >= {"memory_workers", "memory_background"}
    assert shown.before["opened"] >= 0.8 * CANARIES
    assert {place: found for place, found in shown.in_clear.items() if found} == {}
    assert shown.opened == set()
    assert shown.traffic.answered > 0 and shown.traffic.failed == []


def can_look(pid: int) -> bool:
    """Whether this machine lets anybody look into another process; a container may not."""
    try:
        next(memory(pid))
    except NoMemory:
        return False
    return True


def test_killed_in_the_middle_it_goes_on_by_itself(shredding: Stack) -> None:
    """kill -9 of the command; an operator may ask over HTTP, and read the certificate there."""
    anna, bert = shredding.tenants()
    for tenant in (anna, bert):
        body = {"title": "T", "text": "apples are red"}
        assert shredding.http("POST", "/v1/documents", body, tenant=tenant)[0] == 201
    path = f"/admin/v1/tenants/{anna.id}/shred"
    assert shredding.http("GET", path, admin=True)[0] == 404
    wrong = shredding.http("POST", path, {"confirm": anna.name.upper()}, admin=True)
    assert wrong[0] == 400
    assert shredding.http("POST", converse_path(MODEL), converse_body(), tenant=anna)[0] == 200
    workers = set(shredding.gateway_workers())
    with traffic(shredding, bert) as met:
        _killed_while_it_waits(shredding, anna.name)
        status = shredding.http("POST", converse_path(MODEL), converse_body(), tenant=anna)[0]
        assert status == 403
        again = shredding.http("POST", path, {"confirm": anna.name}, admin=True)
        assert again[0] == 202

        def certificate() -> object:
            return json.loads(shredding.http("GET", path, admin=True)[2])["certificate"]

        document = wait_until(certificate, "the shred is certified", 120)
    assert met.failed == [] and met.answered > 0
    assert not workers & set(shredding.gateway_workers())
    shown = tenantry(shredding.home, "tenants", "shred", anna.name, "--json")
    assert json.loads(shown.stdout) == document
    kept = shredding.home.parent / "certificate.json"
    kept.write_text(shown.stdout)
    good = tenantry(shredding.home, "tenants", "shred", "--verify", str(kept))
    assert (good.returncode, good.stderr) == (0, "")
    kept.write_text(shown.stdout.replace(anna.name, bert.name))
    assert tenantry(shredding.home, "tenants", "shred", "--verify", str(kept)).returncode == 1
    assert shredding.http("POST", "/v1/search", {"query": "apples"}, tenant=bert)[0] == 200


def _killed_while_it_waits(stack: Stack, name: str) -> None:
    command = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "tenants", "shred", name]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    with subprocess.Popen(
        [*command, "--yes", name],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**environment, "TENANTRY_HOME": str(stack.home)},
    ) as shred:
        assert shred.stderr is not None
        assert "waits for processes" in shred.stderr.readline()
        shred.send_signal(signal.SIGKILL)


def test_a_shred_asks_for_the_name(shredding: Stack) -> None:
    anna, bert = shredding.tenants()
    for given in (["--yes", bert.name], []):
        refused = tenantry(shredding.home, "tenants", "shred", anna.name, *given)
        assert refused.returncode == 1, given
        assert "nothing was shredded" in refused.stderr or not given
    for tenant in (anna, bert):
        status = shredding.http("POST", converse_path(MODEL), converse_body(), tenant=tenant)[0]
        assert status == 200


def test_the_first_interrupt_at_the_question_ends_the_command(shredding: Stack) -> None:
    anna, bert = shredding.tenants()
    asked = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "tenants", "shred", anna.name]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**environment, "TENANTRY_HOME": str(shredding.home)},
    ) as shred:
        assert shred.stdin is not None and shred.stdout is not None
        try:
            said = b""
            while b"name to go on" not in said:
                said += (piece := os.read(shred.stdout.fileno(), 1_000))
                assert piece, said
            time.sleep(1)  # it reads only after it has asked, and Python hears it no sooner
            shred.stdin.write(CTRL_C)
            shred.stdin.flush()
            assert shred.wait(30) == 130
        finally:
            shred.kill()
    for tenant in (anna, bert):
        status = shredding.http("POST", converse_path(MODEL), converse_body(), tenant=tenant)[0]
        assert status == 200


def test_a_search_for_canaries_finds_them(tmp_path: Path) -> None:
    """As bytes of either text, across pieces, in a name; and nobody else's."""
    mine, theirs = Canaries.make(3), Canaries.make(1)
    (tmp_path / mine.all[0]).mkdir()
    (tmp_path / "a").write_bytes(b"\0" * 7 + mine.all[1].encode("utf-16-le"))
    pieces = [f"{theirs.all[0]} {mine.all[2][:20]}".encode(), mine.all[2][20:].encode()]
    assert mine.in_pieces(iter(pieces)) == {mine.all[2]}
    assert mine.in_files([tmp_path]) == set(mine.all[:2])
    held = mine.all[2] + "!"
    assert mine.all[2] in mine.in_memory(os.getpid()), held
