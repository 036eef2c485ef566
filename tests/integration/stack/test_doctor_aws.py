"""`tenantry doctor --aws` says of each placement whether Bedrock is in reach and takes its keys."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.ports import free_port
from tests.support.stack import ACCOUNTS, Stack
from tests.support.stack_command import tenantry

from tenantry.adapters.postgres.control import PostgresControl


def doctor(stack: Stack, *options: str) -> tuple[int, list[str], dict[str, Any]]:
    """Exit status, problems of Bedrock, facts about it."""
    done = tenantry(stack.home, "doctor", "--json", *options)
    told = json.loads(done.stdout)
    facts = {name: fact for name, fact in told["facts"].items() if name.startswith("Bedrock")}
    return done.returncode, [p for p in told["problems"] if "http" in p], facts


@contextlib.contextmanager
def endpoint(stack: Stack, placement: str, url: str) -> Iterator[None]:
    """A placement that is called elsewhere."""

    async def change(control: PostgresControl) -> None:
        for each in await control.list_placements():
            if each.id == placement:
                kept.append(each)
                await control.apply_placement(replace(each, endpoint_url=url))

    async def restore(control: PostgresControl) -> None:
        await control.apply_placement(kept[0])

    kept: list[Any] = []
    stack.control(change)
    try:
        yield
    finally:
        stack.control(restore)


def test_an_endpoint_that_answers_and_takes_the_credentials(stack: Stack) -> None:
    before = stack.emulator.bill()
    _, problems, facts = doctor(stack, "--aws")
    assert problems == []
    assert facts.keys() == {"Bedrock of pool in us-east-1", "Bedrock of silo in us-east-1"}
    for name, account in ACCOUNTS.items():
        assert re.fullmatch(
            rf"http://\S+ takes the credentials of {account}",
            facts[f"Bedrock of {name} in us-east-1"],
        )
    assert stack.emulator.bill() == before, "what is asked costs nothing"
    assert doctor(stack)[2] == {}, "nobody is asked without --aws"


def test_an_endpoint_that_is_out_of_reach(stack: Stack) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with endpoint(stack, "silo", url):
        status, problems, facts = doctor(stack, "--aws")
    assert status == 1
    assert problems == [f"placement silo: {url} is out of reach: the connection is refused"]
    assert "is out of reach" in facts["Bedrock of silo in us-east-1"]
    assert "takes the credentials" in facts["Bedrock of pool in us-east-1"]


@pytest.mark.parametrize("kept", [True, False])
def test_credentials_that_are_refused_or_missing(stack: Stack, kept: bool) -> None:
    """Forged ones are refused by who verifies signatures; without any nothing is signed."""
    file = stack.home / "control" / "credentials.json"
    before = file.read_bytes()
    table = json.loads(before)
    secret = table[ACCOUNTS["silo"]]["secret_access_key"]
    if kept:
        table[ACCOUNTS["silo"]]["secret_access_key"] = "forged"
    else:
        del table[ACCOUNTS["silo"]]
    try:
        file.write_text(json.dumps(table))
        status, problems, facts = doctor(stack, "--aws")
    finally:
        file.write_bytes(before)
    fact = facts["Bedrock of silo in us-east-1"]
    if kept:
        (problem,) = problems
        assert status == 1
        assert problem.startswith(f"placement silo, account {ACCOUNTS['silo']}: http://")
        assert "refuses our credentials: 403 " in problem
        assert "forged" not in problem
        assert secret not in problem
    else:
        assert problems == []
        assert fact.endswith("is in reach; nothing was asked")


def test_an_endpoint_of_this_machine_at_which_nothing_listens_is_told_without_it(
    stack: Stack,
) -> None:
    """As after the demo: each question is a 503, and `nothing is wrong` was told."""
    stack.tenant(placement="silo")
    assert doctor(stack)[1] == []
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port)), endpoint(stack, "silo", url):
        assert doctor(stack)[1] == [], "somebody does"
    mark = stack.home / "demo.json"
    with endpoint(stack, "silo", url):
        status, problems, _ = doctor(stack)
        mark.touch()
        try:
            again = tenantry(stack.home, "doctor")
        finally:
            mark.unlink()
    told = f"placement silo: nothing listens at {url}, so nobody in it is answered"
    assert (status, problems) == (1, [told])
    assert told in again.stderr and "`make demo` brings all of it back" in again.stderr
    with endpoint(stack, "silo", "https://bedrock.invalid"):
        assert doctor(stack)[1] == [], "no other machine is asked"
