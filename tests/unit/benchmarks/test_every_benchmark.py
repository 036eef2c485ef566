"""Benchmarks run seldom: that each still imports, and still makes its data, is seen here."""

from __future__ import annotations

import gzip
import importlib
import json
import pkgutil
from pathlib import Path

import benchmarks
import numpy as np
import pytest
from benchmarks import gateway_stage, reconcile, wrk
from benchmarks.canaries import Canaries
from benchmarks.gateway import LOADS
from benchmarks.retrieval_data import CHUNKS, Clustered, documents

from bedrock_emulator import config as emulator
from tenantry.adapters.sealed.segment import from_document, merged

MODULES = sorted(
    found.name for found in pkgutil.walk_packages(benchmarks.__path__, f"{benchmarks.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_each_module_imports(name: str) -> None:
    importlib.import_module(name)


def test_the_log_to_reconcile_lacks_and_doubles_what_is_planted(tmp_path: Path) -> None:
    lines = 600
    reconcile.write_log(tmp_path, lines)
    written = [
        json.loads(line)["requestId"]
        for file in sorted(tmp_path.rglob("*.json.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    missing = {f"up-{n}" for n in range(0, lines, reconcile.DROPPED_EACH)}
    doubled = {f"up-{n}" for n in range(1, lines, reconcile.DOUBLED_EACH)}
    assert set(written) == {f"up-{n}" for n in range(lines)} - missing
    assert {name for name in written if written.count(name) == 2} == doubled


def test_vectors_to_search_are_the_same_again_and_make_a_segment() -> None:
    made = Clustered(1, 64, clusters=4)
    rows = made.rows(4 * CHUNKS)
    assert np.array_equal(rows, Clustered(1, 64, clusters=4).rows(4 * CHUNKS))
    assert made.queries(3).shape == (3, 64)
    parts = [from_document(one) for one in documents(rows)]
    segment = merged([(part, frozenset(part.ids)) for part in parts], 1)
    assert len(segment.ids) == 4


def test_each_load_of_the_gateway_is_written_for_every_tenant(tmp_path: Path) -> None:
    stage = gateway_stage.Stage(
        tmp_path, tmp_path, tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:2", "emulator-key",
        ("tnt_1", "tnt_2"), ("tk_1", "tk_2"), 1, 2, 3, 4,
    )  # fmt: skip
    for make in LOADS.values():
        load = make(stage)
        assert json.loads(load.body)["messages"]
        script = wrk._script(load)
        assert "Bearer tk_1" in script and "Bearer tk_2" in script


def test_the_emulator_of_the_gateways_stage_can_be_set_so(tmp_path: Path) -> None:
    written = gateway_stage._emulator_config(tmp_path, "a-bearer-key-of-the-bench", "It owes it.")
    settings = emulator.load(written)
    assert settings.fixed_answer == "It owes it."
    assert [account.id for account in settings.accounts] == [gateway_stage.ACCOUNT]


def test_canaries_are_found_wherever_they_stand() -> None:
    canaries = Canaries.make(20)
    text = "\n".join(canaries.all)
    assert canaries.within(text.encode()) == set(canaries.all)
    assert canaries.within(text.encode("utf-16-le")) == set(canaries.all)
    assert Canaries.make(20).within(text.encode()) == set()
