"""Documents over the wire, embedded by models that take less than others and refuse or cut what is
more; and uploads that others, who do not see them, send too."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.stack import Stack
from tests.support.stack_documents import REINDEX, call, document, reindexed

TEXT = (
    "The goods may be sent back within 14 days; the refund is paid at once. " * 20
    + "\n\n"
    + "返品は十四日以内にお願いします。返金はすぐに行われます。" * 40
    + "\n\n"
    + "0123456789abcdef" * 100
    + "\n\nThe end of it."
)
MODELS = ("cohere.embed-multilingual-v3", "amazon.titan-embed-image-v1", "cohere.embed-english-v3")


def passages(stack: Stack, who: Any) -> list[dict[str, Any]]:
    status, found = call(stack, who, "POST", "/v1/search", {"query": "goods", "top_k": 50})
    assert status == 200, found
    return sorted(found["passages"], key=lambda passage: passage["start"])


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_lost_on_the_way_to_a_model_that_takes_less(stack: Stack, model: str) -> None:
    anna, bert = stack.tenants()
    for who in (anna, bert):
        assert call(stack, who, "POST", "/v1/documents", document("T", TEXT))[0] == 201
    before = passages(stack, bert)
    assert call(stack, anna, "POST", REINDEX, {"model": model})[0] == 202
    done = reindexed(stack, anna)
    assert done["status"] == "done", done
    made = call(stack, anna, "POST", "/v1/documents", document("More", TEXT))
    assert made[0] == 201, made
    assert made[1]["passages"] == done["passages"]["total"] > len(before)
    if done["passages"]["total"] <= 25:  # of the two that there are, all are found
        found, end = passages(stack, anna)[::2], 0
        for passage in found:
            assert TEXT[passage["start"] : passage["end"]] == passage["text"]
            assert not TEXT[end : passage["start"]].strip()
            end = passage["end"]
        assert end == len(TEXT)
    assert passages(stack, bert) == before
    assert stack.violations() == []


def test_an_upload_tells_of_no_document_that_its_sender_does_not_see(stack: Stack) -> None:
    anna, bert = stack.tenants()
    body = document("Merger", "Zebracorp is bought in May.", access=["board"])

    def send(who: Any, groups: str | None = None, user: str | None = None) -> tuple[int, str]:
        headers = {"content-type": "application/json"}
        headers |= {"x-tenantry-groups": groups} if groups else {}
        headers |= {"x-tenantry-user": user} if user else {}
        status, _, answer = stack.http("POST", "/v1/documents", body, tenant=who, headers=headers)
        return status, answer.decode().partition('"id":"')[2].partition('"')[0]

    status, theirs = send(anna, "board")
    assert status == 201
    own = {send(anna, *said) for said in ((), ("staff",), ("staff", "ann"), ("staff", "ben"))}
    assert {status for status, _ in own} == {201}
    assert len({theirs, *(name for _, name in own)}) == 5
    again = {send(anna, *said) for said in ((), ("staff",), ("staff", "ann"), ("staff", "ben"))}
    assert again == {(200, name) for _, name in own}
    assert send(anna, "board, staff", "cleo") == (200, theirs)
    assert send(bert, "board")[0] == 201
    assert stack.violations() == []
