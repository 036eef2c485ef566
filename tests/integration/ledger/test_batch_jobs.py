"""Batch jobs in the database: a tenant's own alone, each state left once."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.support.batch_jobs import job_of
from tests.support.ledger import World, in_world, intent
from tests.support.postgres import Database

from tenantry.adapters.postgres.batches import PostgresBatchBook, PostgresBatchNotes
from tenantry.domain.usage import Usage
from tenantry.ports.admission import AttemptOutcome


def test_a_job_goes_its_way_once(database: Database) -> None:
    async def body(world: World) -> None:
        notes = PostgresBatchNotes(world.work)
        book = PostgresBatchBook(world.databases.control)
        job = job_of(world.anna.tenant_id)
        await notes.plan(job)
        (found,) = await book.open_jobs(None, 10)
        assert found.age_s >= 0 and replace(found.job, created_at=None) == job
        assert await book.open_jobs(found.job, 10) == []
        assert await notes.advance(job, "submitting")
        assert not await notes.advance(job, "submitting")
        assert not await book.advance(job, "refused", message="left")
        submitting = replace(job, state="submitting")
        assert await book.advance(submitting, "running", job_arn="arn:x")
        running = (await book.open_jobs(None, 10))[0].job
        assert (running.state, running.job_arn) == ("running", "arn:x")
        assert await book.advance(running, "settled", message="100 of 100")
        assert await book.open_jobs(None, 10) == []
        (ended,) = await book.listed(world.anna.tenant_id, 10)
        assert (ended.state, ended.message, ended.job_arn) == ("settled", "100 of 100", "arn:x")
        assert await book.listed(world.bert.tenant_id, 10) == []

    in_world(database, body)


def test_the_outside_hears_once_of_a_job_that_ended(database: Database) -> None:
    async def body(world: World) -> None:
        notes = PostgresBatchNotes(world.work)
        book = PostgresBatchBook(world.databases.control)
        settled, refused = job_of(world.anna.tenant_id), job_of(world.bert.tenant_id)
        for job in (settled, refused):
            await notes.plan(job)
            assert await notes.advance(job, "submitting")
        running = replace(settled, state="submitting")
        assert await book.advance(running, "running", job_arn="arn:x")
        assert await world.fetch("SELECT FROM notice") == []
        said = "no role arn:aws:iam::111111111111:role/r"
        for job in (replace(settled, state="running"), replace(settled, state="running")):
            await book.advance(job, "settled", message=said, answered=99)
        assert await book.advance(replace(refused, state="submitting"), "refused", message=said)
        notices = await world.fetch("SELECT tenant_id, kind, body::text AS body FROM notice")
        assert {row["kind"] for row in notices} == {"job.ended"}
        told = {row["tenant_id"]: json.loads(row["body"]) for row in notices}
        assert len(notices) == len(told) == 2
        assert told[world.anna.tenant_id] == {
            "id": str(settled.request_id), "state": "settled", "model": "m",
            "operation": "Converse", "records": 100, "answered": 99, "outcome": "partly_failed",
        }  # fmt: skip
        refused_one = told[world.bert.tenant_id]
        assert (refused_one["state"], refused_one["outcome"]) == ("refused", "failed")

    in_world(database, body)


def test_no_job_hides_behind_older_ones(database: Database) -> None:
    async def body(world: World) -> None:
        notes = PostgresBatchNotes(world.work)
        book = PostgresBatchBook(world.databases.control)
        jobs = [job_of(who.tenant_id) for who in (world.anna, world.bert, world.anna)]
        for job in jobs:
            await notes.plan(job)
        await world.as_superuser("UPDATE tenantry.batch_job SET created_at = '2026-01-01'")
        found: list[uuid.UUID] = []
        last = None
        while page := await book.open_jobs(last, 1):
            last = page[-1].job
            found.append(last.request_id)
        assert sorted(found) == sorted(job.request_id for job in jobs)

    in_world(database, body)


def test_a_job_waits_until_its_last_record_has_an_end(database: Database) -> None:
    """Answered, written off, or kept for a person to look at."""

    async def body(world: World) -> None:
        notes, anna = PostgresBatchNotes(world.work), world.anna
        book = PostgresBatchBook(world.databases.control)

        async def waits() -> bool:
            return (await book.open_jobs(None, 10))[0].waits

        made = await world.admitted()
        await notes.plan(replace(job_of(anna.tenant_id), request_id=made.request_id))
        for call in (1, 2):
            await world.admission.begin(anna.tenant_id, made.request_id, intent(call))
        unknown = [AttemptOutcome(call, 1, "unknown", error="batch") for call in range(3)]
        await world.settle(made, *unknown)
        assert await waits()
        odd = AttemptOutcome(1, 1, "unknown", quarantined="no usage")
        await world.settle(made, world.outcome(Usage(out=1)), odd, final=False)
        assert await waits()
        await world.as_superuser(
            "UPDATE tenantry.later_intent SET began_at = began_at - interval '73 hours'"
        )
        assert await world.keeper.give_up(datetime.now(UTC) - timedelta(hours=72)) == 1
        assert not await waits()

    in_world(database, body)


def test_another_tenants_job_is_neither_seen_nor_changed(database: Database) -> None:
    async def body(world: World) -> None:
        notes = PostgresBatchNotes(world.work)
        job = job_of(world.anna.tenant_id)
        await notes.plan(job)
        theirs = replace(job, tenant_id=world.bert.tenant_id)
        assert not await notes.advance(theirs, "refused")
        async with world.work.reading(world.bert.tenant_id) as unit:
            assert await unit.fetch("SELECT * FROM batch_job") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.work.writing(world.bert.tenant_id) as unit:
                await unit.execute(
                    "INSERT INTO batch_job (tenant_id, request_id, state, definition)"
                    " VALUES ($1, $2, 'planned', '{}')",
                    world.anna.tenant_id,
                    uuid.uuid4(),
                )
        for statement in ("DELETE FROM batch_job", "UPDATE batch_job SET definition = '{}'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with world.work.writing(world.anna.tenant_id) as unit:
                    await unit.execute(statement)

    in_world(database, body)
