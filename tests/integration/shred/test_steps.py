"""A shred step by step: what each leaves, what it waits for, and that nobody else notices."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.postgres import Database
from tests.support.shredding import BY, Fate, Ground, Killed, begun, is_untouched, on_ground

from tenantry.application import tending
from tenantry.application.shredding import advance_shred, begin_shred, shred_round
from tenantry.domain.errors import BadRequest, Conflict, NotFound, TenantSuspended
from tenantry.domain.shred import (
    CertificateBroken,
    certificate_text,
    document_of,
    signed_content,
)
from tenantry.domain.usage import Usage
from tenantry.ports.keys import Purpose
from tenantry.ports.objects import ObjectKind


def test_a_shred_takes_keys_and_content_and_certifies_it(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        home = at.home(at.anna)
        await at.world.settle(await at.world.admitted(), at.world.outcome(Usage(out=500)))
        shredder = await begun(at)
        done = await advance_shred(shredder, at.anna.tenant_id)
        assert done.shred.step == "certified" and not done.processes and not done.jobs
        with pytest.raises(NotFound):
            await shredder.keys.subkey(home, 1, Purpose.BLOB, b"")
        for kind in ObjectKind:
            assert await shredder.objects.list(home, kind) == []
        assert set((await shredder.content.count(at.anna.tenant_id)).values()) == {0}
        await is_untouched(at)
        # What is owed stays to be read.
        kept = await at.world.fetch(
            "SELECT count(*) FROM charge_entry WHERE tenant_id = $1", at.anna.tenant_id
        )
        assert kept[0][0] == 1

        assert done.shred.certificate and done.shred.signature
        document = document_of(
            done.shred.certificate, done.shred.signature, shredder.signer.public_key
        )
        content, signature, _ = signed_content(json.loads(json.dumps(document)))
        assert shredder.signer.verifies(content.encode(), signature)
        told = document["content"]
        assert told["mode"] == "tenant key destroyed" and told["kms_key"] is None
        assert told["tenant"] == {"id": at.anna.tenant_id, "name": at.anna.tenant.name}
        assert told["erased"]["rows: document"] == 2
        assert told["erased"]["sealed objects: originals"] == 2
        assert told["erased"]["API keys revoked"] == 1
        assert any("111111111111 (s3://logs/bedrock)" in each for each in told["remains"])
        assert any(each.startswith("API keys, revoked") for each in told["remains"])
        assert told["effective_at"] in certificate_text(document)
        for change in ({"mode": "nothing"}, {"not_reachable": [1]}):
            forged = {**document, "content": {**told, **change}}
            with pytest.raises(CertificateBroken):
                signed_content(forged)

    on_ground(database, tmp_path, body)


def test_it_is_refused_everywhere_from_the_first_commit_on(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        tenant_id = at.anna.tenant_id
        with pytest.raises(BadRequest, match="nothing was shredded"):
            await begin_shred(at.shredder(), tenant_id, at.bert.tenant.name, BY)
        assert (await at.world.control.get_tenant(tenant_id)).status == "active"
        shredder = await begun(at)
        refused = await at.world.refused()
        assert refused.code == "tenant_suspended"
        with pytest.raises(Exception, match="revoked"):
            await at.world.directory.by_bearer(at.world.keys["anna"].bearer, fresh=True)
        with pytest.raises(Conflict, match="shredded"):
            await at.world.control.set_suspended(tenant_id, False)
        with pytest.raises(TenantSuspended, match="shredded"):
            await at.world.control.create_key(tenant_id)
        with pytest.raises(TenantSuspended, match="shredded"):
            await at.upload(at.anna, "written too late")
        assert await tending.resume(at.knowledge, _Unfinished(tenant_id), at.world.control) == 0
        await advance_shred(shredder, tenant_id)
        for home in (at.home(at.anna), dataclasses.replace(at.home(at.anna), own_kms_key=True)):
            with pytest.raises(NotFound, match="shredded"):
                await shredder.keys.create(home)
        await is_untouched(at)

    on_ground(database, tmp_path, body)


class _Unfinished:
    def __init__(self, tenant_id: Any) -> None:
        self._tenant_id = tenant_id

    async def tenants(self, limit: int) -> list[Any]:
        return [self._tenant_id]


def test_nothing_is_certified_before_every_process_of_every_host_has_ended(
    database: Database, tmp_path: Path
) -> None:
    """Two hosts, three workers. Each host sees for itself that it has to roll, and says when."""

    async def body(at: Ground) -> None:
        for host, pid in (("here", 11), ("there", 21), ("there", 22)):
            await at.process(host, pid)
        assert await at.holders("there").look() == frozenset()
        shredder = await begun(at)
        await advance_shred(shredder, at.anna.tenant_id)
        await at.process("there", 23)  # a successor: it has never had the key
        waits = await advance_shred(shredder, at.anna.tenant_id)
        assert [(each.host_name, each.pid) for each in waits.processes] == [
            ("here", 11),
            ("there", 21),
            ("there", 22),
        ]
        assert waits.shred.step == "keys_destroyed"
        assert await at.holders("there").look() == {21, 22}
        assert await at.holders("here").look() == {11}
        del at.born[21]
        at.born[22] = 999  # another process has its pid by now
        assert await at.holders("there").look() == frozenset()
        del at.born[11]
        waits = await advance_shred(shredder, at.anna.tenant_id)
        assert [each.pid for each in waits.processes] == [11], "here has not looked yet"
        await at.holders("here").look()
        done = await advance_shred(shredder, at.anna.tenant_id)
        told = json.loads(done.shred.certificate or "")
        assert [each["pid"] for each in told["processes"]] == [11, 21, 22]
        assert told["not_reachable"] == []
        for each in told["processes"]:
            assert each["began_at"] <= told["effective_at"] <= each["ended_at"]

    on_ground(database, tmp_path, body)


def test_who_cannot_be_reached_is_named_in_the_certificate(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        lost = await at.process("lost", 31)
        shredder = await begun(at)
        assert await shredder.holders.declare_gone("lost") == 0, "it was seen a moment ago"
        assert (await advance_shred(shredder, at.anna.tenant_id)).processes
        await at.world.as_superuser(
            "UPDATE tenantry.key_holder SET seen_at = now() - interval '2 minutes'"
            " WHERE holder_id = $1",
            lost,
        )
        assert await shredder.holders.declare_gone("elsewhere") == 0
        assert (await advance_shred(shredder, at.anna.tenant_id)).processes
        assert await shredder.holders.declare_gone("lost") == 1
        done = await advance_shred(shredder, at.anna.tenant_id)
        told = json.loads(done.shred.certificate or "")
        assert [each["host"] for each in told["not_reachable"]] == ["lost"]
        assert told["processes"] == []

    on_ground(database, tmp_path, body)


def test_a_process_in_the_place_of_another_has_seen_it_end(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        holders = at.holders("here")
        first = await holders.register("background")
        second = await holders.register("background")
        rows = await at.world.databases.control.fetch(
            "SELECT holder_id FROM tenantry.key_holder WHERE ended_at IS NULL"
        )
        assert [row["holder_id"] for row in rows] == [second] != [first]
        await holders.leave(second)
        assert (await at.holders("here").look()) == frozenset()

    on_ground(database, tmp_path, body)


def test_a_batch_job_is_waited_for_and_its_files_go(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        tenant_id = at.anna.tenant_id
        bucket = tmp_path / "s3" / "pool-batches"
        job_id = "abc123"
        files = [
            bucket / "jobs" / "r" / "records.jsonl",
            bucket / "jobs" / "r" / job_id / "records.jsonl.out",
            bucket / "jobs" / "r" / job_id / "manifest.json.out",
        ]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("asked in clear")
        upstream = {"account": "111111111111", "region": "us-east-1"}
        definition = {
            "upstream": {**upstream, "endpoint_url": None, "credentials_ref": "111111111111"},
            "operation": "Converse",
            "model": "m",
            "upstream_id": "m",
            "records": 1,
            "input_uri": "s3://pool-batches/jobs/r/records.jsonl",
            "output_uri": "s3://pool-batches/jobs/r/",
            "role_arn": "arn",
            "env": "test",
        }
        await at.world.as_superuser(
            "INSERT INTO tenantry.batch_job (tenant_id, request_id, state, definition, job_arn)"
            " VALUES ($1, gen_random_uuid(), 'running', $2, $3)",
            tenant_id,
            json.dumps(definition),
            f"arn:aws:bedrock:us-east-1:1:model-invocation-job/{job_id}",
        )
        shredder = await begun(at)
        waits = await advance_shred(shredder, tenant_id)
        assert len(waits.jobs) == 1 and waits.shred.step == "processes_ended"
        assert all(file.exists() for file in files), "they tell what is owed"
        await at.world.as_superuser("UPDATE tenantry.batch_job SET state = 'settled'")
        done = await advance_shred(shredder, tenant_id)
        told = json.loads(done.shred.certificate or "")
        assert told["erased"]["batch jobs whose files were deleted"] == 1
        assert not any(file.exists() for file in files)

    on_ground(database, tmp_path, body)


@pytest.mark.parametrize("after", [False, True])
def test_cut_off_at_any_step_it_goes_on(database: Database, tmp_path: Path, after: bool) -> None:
    """A tenant for each change that a shred makes, and its end before (or after) that change."""

    async def body(at: Ground) -> None:
        for step in range(1, 100):
            who = await at.another()
            fate = Fate(step, after=after)
            shredder, ended = at.shredder(fate.wrap), False
            try:
                await begin_shred(shredder, who.tenant_id, who.tenant.name, BY)
                await advance_shred(shredder, who.tenant_id)
            except (Killed, BaseExceptionGroup):
                ended = True
            calm = at.shredder()
            await begin_shred(calm, who.tenant_id, who.tenant.name, BY)
            done = await advance_shred(calm, who.tenant_id)
            assert done.shred.step == "certified"
            told = json.loads(done.shred.certificate or "")
            assert told["erased"]["rows: document"] == 1
            assert told["erased"]["sealed objects: segments"] == 1
            for kind in ObjectKind:
                assert await calm.objects.list(at.home(who), kind) == []
            assert set((await calm.content.count(who.tenant_id)).values()) == {0}
            again = await advance_shred(calm, who.tenant_id)
            assert again.shred.certificate == done.shred.certificate
            if not ended:
                break
        assert step > 10, "it was ended at every step"
        await is_untouched(at)

    on_ground(database, tmp_path, body)


def test_the_background_worker_goes_on_with_what_was_begun(
    database: Database, tmp_path: Path
) -> None:
    async def body(at: Ground) -> None:
        shredder = await begun(at)
        await shred_round(shredder, time.monotonic).work()
        shred = await shredder.book.get(at.anna.tenant_id)
        assert shred is not None and shred.step == "certified"
        with pytest.raises(NotFound):
            await advance_shred(shredder, at.bert.tenant_id)

    on_ground(database, tmp_path, body)


def test_every_table_that_the_data_plane_writes_can_be_emptied(database: Database) -> None:
    """Whoever adds one must let `tenantry_app` delete there: a shred and an erasure will."""

    async def check() -> None:
        connection = await asyncpg.connect(database.dsn("superuser"))
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a"
            " ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
            " WHERE c.relnamespace = 'tenantry'::regnamespace AND c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition AND c.relname NOT IN ('batch_job', 'vector_room')"
            " AND has_any_column_privilege('tenantry_app', c.oid, 'INSERT')"
            " AND NOT has_table_privilege('tenantry_app', c.oid, 'DELETE')"
        )
        await connection.close()
        assert [row["relname"] for row in rows] == []

    asyncio.run(check())
