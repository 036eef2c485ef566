"""The whole way through real processes: each way in answers, and the books agree."""

import socket
from typing import Any
from urllib.parse import urlsplit

from tests.support.stack import MODEL, Stack
from tests.support.stack_clients import converse_body


def test_every_way_in_is_metered_to_the_token(stack: Stack) -> None:
    anna, bert = stack.tenants()
    for how in ("sigv4", "bearer"):
        answer = stack.boto3(anna, how).converse(modelId=MODEL, **converse_body())
        assert answer["output"]["message"]["content"][0]["text"]
    stream = stack.boto3(anna).converse_stream(modelId=MODEL, **converse_body())
    assert "metadata" in list(stream["stream"])[-1]
    with stack.openai(anna) as sdk:
        chat = sdk.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello."}], max_tokens=64
        )
    assert chat.choices[0].message.content
    assert len(stack.bill(anna)) == 4
    stack.wait_settled(anna, bert)
    assert stack.bill(bert) == stack.ledger(bert) == {}
    assert stack.violations() == []


def test_who_sends_much_says_who_it_is_first(stack: Stack) -> None:
    """Whoever reaches the port could hold the memory in which tenants' requests are read."""
    tenants = stack.tenants()
    where = urlsplit(stack.url)
    head = f"POST /v1/documents HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-length: 20000000\r\n"
    for who, status in (("", b"401"), ("authorization: Bearer tk_unknown\r\n", b"401")):
        with socket.create_connection((where.hostname, where.port), timeout=20) as client:
            client.sendall(f"{head}{who}\r\n".encode() + b"x" * 100_000)
            assert client.recv(65_536).split(b" ", 2)[1] == status
    messages: Any = [{"role": "user", "content": [{"text": "word " * 40_000}]}]
    for tenant in tenants:
        for how in ("sigv4", "bearer"):
            answer = stack.boto3(tenant, how).converse(
                modelId=MODEL, messages=messages, inferenceConfig={"maxTokens": 5}
            )
            told = answer["ResponseMetadata"]["HTTPHeaders"]["x-tenantry-tenant"]
            assert told == tenant.id


def test_a_silo_is_an_account_of_its_own(stack: Stack) -> None:
    pooled, alone = stack.tenant(), stack.tenant(placement="silo")
    for tenant in (pooled, alone):
        stack.boto3(tenant).converse(modelId=MODEL, **converse_body())
    accounts = {
        record["request_metadata"].get("tid"): record["account"] for record in stack.bill_records()
    }
    assert accounts[pooled.id] == pooled.account
    assert accounts[alone.id] == alone.account
    assert pooled.account != alone.account
    stack.wait_settled(pooled, alone)
