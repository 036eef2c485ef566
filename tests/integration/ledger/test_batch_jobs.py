"""Batch jobs in the database: a tenant's own alone, each state left once."""

import uuid
from dataclasses import replace

import asyncpg
import pytest
from tests.support.ledger import World, in_world
from tests.support.postgres import Database

from tenantry.adapters.postgres.batches import PostgresBatchBook, PostgresBatchNotes
from tenantry.domain.ids import TenantId
from tenantry.ports.batch import BatchJob
from tenantry.ports.model import Upstream


def job_of(tenant_id: TenantId) -> BatchJob:
    return BatchJob(
        tenant_id=tenant_id,
        request_id=uuid.uuid4(),
        state="planned",
        upstream=Upstream("111111111111", "us-east-1", "http://127.0.0.1:1", "111111111111"),
        operation="Converse",
        model="m",
        upstream_id="us.m",
        records=100,
        input_uri="s3://b/in",
        output_uri="s3://b/out/",
        role_arn="arn:aws:iam::111111111111:role/r",
        env="local",
    )


def test_a_job_goes_its_way_once(database: Database) -> None:
    async def body(world: World) -> None:
        notes = PostgresBatchNotes(world.work)
        book = PostgresBatchBook(world.databases.control)
        job = job_of(world.anna.tenant_id)
        await notes.plan(job)
        ((found, age_s),) = await book.open_jobs(10)
        assert age_s >= 0 and replace(found, created_at=None) == job
        assert await notes.advance(job, "submitting")
        assert not await notes.advance(job, "submitting")
        assert not await book.advance(job, "refused", message="left")
        submitting = replace(job, state="submitting")
        assert await book.advance(submitting, "running", job_arn="arn:x")
        ((running, _),) = await book.open_jobs(10)
        assert (running.state, running.job_arn) == ("running", "arn:x")
        assert await book.advance(running, "settled", message="100 of 100")
        assert await book.open_jobs(10) == []
        (ended,) = await book.listed(world.anna.tenant_id, 10)
        assert (ended.state, ended.message, ended.job_arn) == ("settled", "100 of 100", "arn:x")
        assert await book.listed(world.bert.tenant_id, 10) == []

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
