"""A reindex whose model refuses what it is sent: which document it was, and the others go on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.reindexes import ALICE, LARGE, NEW, Process

from tenantry.application import documents
from tenantry.domain.document import Progress
from tenantry.domain.errors import LargerThanLimit, TenantryError, UpstreamRefused
from tenantry.ports.reindexing import ReindexState


def refused(status: int) -> TenantryError:
    return UpstreamRefused("no", status=status, error_type="ValidationException")


@pytest.mark.parametrize("refusal", [refused(400), LargerThanLimit("too many tokens")])
@pytest.mark.parametrize("text", ["pears", LARGE.replace("word3.", "pears")])
def test_a_document_that_is_refused_is_named_and_the_others_are_indexed(
    played, text: str, refusal: TenantryError
) -> None:
    async def scene(one: Process) -> None:
        for number in range(2):
            await one.upload(ALICE, f"T{number}", f"apples word{number}")
        culprit = await one.upload(ALICE, "culprit", text)
        await one.upload(ALICE, "last", "apples last")
        embed = one.embedder.embed

        async def choosy(principal: Any, texts: Any, *given: Any) -> Any:
            if given[-1] == NEW and any("pears" in text for text in texts):
                raise refusal
            return await embed(principal, texts, *given)

        one.embedder.embed = choosy  # type: ignore[method-assign]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        paused = await one.state(ALICE)
        assert (paused.state, paused.failure) == (ReindexState.PAUSED, refusal.code)
        assert paused.failed_document_id == culprit
        if text == "pears":
            assert paused.documents == Progress(3, 4)
        await documents.delete_document(one.deps, ALICE, culprit)
        await one.start(ALICE)
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE
        assert one.embedded(NEW) == 3, "nothing is paid for twice"

    played(scene)


def test_a_batch_that_is_larger_than_a_limit_goes_on_document_by_document(played) -> None:
    async def scene(one: Process) -> None:
        for number in range(3):
            await one.upload(ALICE, f"T{number}", f"apples word{number}")
        embed = one.embedder.embed

        async def one_at_once(principal: Any, texts: Any, *given: Any) -> Any:
            if len(texts) > 1:
                raise LargerThanLimit("too many tokens")
            return await embed(principal, texts, *given)

        one.embedder.embed = one_at_once  # type: ignore[method-assign]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).state is ReindexState.DONE

    played(scene)


@pytest.mark.parametrize(
    ("status", "text", "asked"),
    [(404, "apples", [3]), (400, "apples", [3, 1, 1]), (400, LARGE, [64, 1])],
)
def test_a_model_that_takes_nothing_is_no_document_s_fault(
    played, status: int, text: str, asked: list[int]
) -> None:
    """Such as one that is not there, or cannot be called on demand."""

    async def scene(one: Process) -> None:
        for number in range(3):
            await one.upload(ALICE, f"T{number}", f"{text} word{number}")
        tried = []

        async def gone(principal: Any, texts: Any, *given: Any) -> Any:
            tried.append(len(texts))
            raise refused(status)

        one.embedder.embed = gone  # type: ignore[method-assign]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        paused = await one.state(ALICE)
        assert (paused.failure, paused.failed_document_id) == ("upstream_refused", None)
        assert tried == asked

    played(scene)


@pytest.mark.parametrize("fine", [0, 1])
def test_a_document_is_named_although_no_other_is_left(played, fine: int) -> None:
    async def scene(one: Process) -> None:
        culprits = [await one.upload(ALICE, f"culprit {n}", f"pears word{n}") for n in range(3)]
        for number in range(fine):
            await one.upload(ALICE, f"T{number}", "apples")
        embed = one.embedder.embed

        async def choosy(principal: Any, texts: Any, *given: Any) -> Any:
            if any("pears" in text for text in texts):
                raise refused(400)
            return await embed(principal, texts, *given)

        one.embedder.embed = choosy  # type: ignore[method-assign]
        await one.start(ALICE)
        await one.deps.tasks.settle()
        paused = await one.state(ALICE)
        assert paused.failed_document_id in culprits
        assert paused.documents == Progress(fine, 3 + fine)

    played(scene)
