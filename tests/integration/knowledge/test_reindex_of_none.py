"""Where a tenant without documents has its next one: where the last was, or a reindex said."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from tests.support.reindexes import ALICE, BOB, NEW, OLD, A, Process, is_tidy

from tenantry.adapters.postgres.unit_of_work import TenantWork
from tenantry.application import documents, reindexing
from tenantry.domain.document import Progress
from tenantry.domain.errors import Conflict, NotFound
from tenantry.domain.space import Space
from tenantry.domain.tenant import Principal
from tenantry.ports.reindexing import ReindexState


async def reindexed(one: Process, space: Space = NEW, *, again: bool = False) -> None:
    await one.start(ALICE, space, again=again)
    await one.deps.tasks.settle()


async def emptied(one: Process) -> None:
    """Alice's one document is in the new space, and deleted there."""
    document = await one.upload(ALICE, "T", "apples are red")
    await reindexed(one)
    await documents.delete_document(one.deps, ALICE, document)


def test_a_tenant_s_last_document_takes_no_space_with_it(played) -> None:
    async def scene(one: Process) -> None:
        await emptied(one)
        assert await one.found(ALICE, "apples") == []
        assert one.embedder.spaces[-1] == NEW
        await one.upload(ALICE, "T", "pears are green")
        assert one.embedder.spaces[-1] == NEW, "as the last reindex says"
        assert await one.found(ALICE, "pears") == ["pears are green"]
        await one.upload(BOB, "B", "apples of b")
        assert one.embedder.spaces[-1] == OLD
        await is_tidy(one, ALICE)

    played(scene)


def test_a_model_that_cannot_be_called_any_more_keeps_out_no_next_document(played) -> None:
    async def scene(one: Process) -> None:
        await emptied(one)
        one.embedder.gone.add(NEW.model)
        await one.upload(ALICE, "T", "pears are green")
        assert one.embedder.spaces[-1] == OLD, "the plan's"
        assert await one.found(ALICE, "pears") == ["pears are green"]
        one.embedder.gone.add(OLD.model)
        assert await one.deps.space(ALICE) == OLD, "what is searched decides, called or not"

    played(scene)


def test_where_nothing_is_left_the_engine_of_before_does_not_matter(played) -> None:
    async def scene(one: Process) -> None:
        await emptied(one)
        before = TenantWork(one.pool)
        async with before.writing(A.id) as unit:
            await unit.execute(
                "UPDATE tenantry.knowledge_partition SET model = 'other/' || model"
                " WHERE tenant_id = $1",
                A.id,
            )
        assert await one.found(ALICE, "apples") == []
        await reindexed(one)
        assert (await one.deps.manifest.spaces(A.id)).pin == NEW.model
        await one.upload(ALICE, "T", "pears are green")
        assert one.embedder.spaces[-1] == NEW
        assert await one.found(ALICE, "pears") == ["pears are green"]

    played(scene)


def test_a_key_that_may_not_call_the_model_moves_nothing(played) -> None:
    async def scene(one: Process) -> None:
        await emptied(one)
        asked: list[object] = []

        async def noted(principal: Principal, space: Space) -> bool:
            asked.append(principal.models_allowed)
            return True

        one.embedder.can_embed = noted  # type: ignore[method-assign]
        narrow = dataclasses.replace(ALICE, models_allowed=frozenset({OLD.model}))
        assert await one.deps.space(narrow) == NEW, "in which it is refused"
        assert asked == [None], "whether the tenant may"

    played(scene)


def test_a_reindex_of_no_document_is_done_and_decides(played) -> None:
    async def scene(one: Process) -> None:
        for tenant_had_documents in (False, True):
            if tenant_had_documents:
                document = await one.upload(ALICE, "T", "apples are red")
                assert one.embedder.spaces[-1] == NEW
                await documents.delete_document(one.deps, ALICE, document)
            space = Space("test.words-v3", 64) if tenant_had_documents else NEW
            calls = len(one.embedder.calls)
            await reindexed(one, space)
            done = await one.state(ALICE)
            assert (done.state, done.documents) == (ReindexState.DONE, Progress(0, 0))
            assert len(one.embedder.calls) == calls, "nothing is paid for"
            assert (await one.deps.query_spaces(ALICE)).live == space
            with pytest.raises(Conflict, match="already"):
                await one.start(ALICE, space)
            await reindexed(one, space, again=True)
        await one.start(ALICE, None, again=True)
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).space == space
        await one.upload(ALICE, "T", "pears are green")
        assert one.embedder.spaces[-1] == space
        with pytest.raises(NotFound):
            await one.state(BOB)
        assert (await one.deps.query_spaces(BOB)).live == OLD

    played(scene)


def test_a_tenant_that_chose_a_model_and_never_had_a_document_pays_for_no_query(played) -> None:
    async def scene(one: Process) -> None:
        await reindexed(one)
        assert await one.found(ALICE, "apples") == []
        assert one.embedder.calls == []

    played(scene)


def test_an_upload_that_began_before_such_a_reindex_does_not_undo_it(
    played, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(one: Process) -> None:
        monkeypatch.setattr(reindexing, "SWITCH_PATIENCE_S", 0.0)
        reached, go = one.held(OLD)
        waiting = asyncio.create_task(one.upload(ALICE, "T", "apples are red"))
        await reached.wait()
        await one.start(ALICE)
        await one.reaches(lambda shown: shown.state is ReindexState.DONE)
        go.set()
        await waiting
        assert one.embedder.spaces[-1] == NEW
        assert await one.found(ALICE, "apples") == ["apples are red"]
        assert (await one.deps.manifest.spaces(A.id)).live == NEW
        await is_tidy(one, ALICE)

    played(scene)


def test_what_goes_on_moves_its_time(played) -> None:
    async def scene(one: Process) -> None:
        await one.upload(ALICE, "T", "apples are red")
        reached, go = one.held(NEW)
        begun = await one.start(ALICE)
        await reached.wait()
        shown = await one.state(ALICE)
        assert shown.state is ReindexState.RUNNING
        assert shown.updated_at > begun.updated_at
        assert shown.created_at == begun.created_at
        go.set()
        await one.deps.tasks.settle()
        assert (await one.state(ALICE)).updated_at > shown.updated_at

    played(scene)
