"""`doctor` and `tenantry objects`: whose the sealed objects are, and which are not there."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
from tests.support.stack import Stack, Tenant, wait_until
from tests.support.stack_command import tenantry

from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.adapters.objects.mark_file import NAME
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.ports.objects import ObjectKind


def added(stack: Stack, who: Tenant, title: str) -> None:
    body = {"title": title, "text": f"{title} apples"}
    status, _, answer = stack.http("POST", "/v1/documents", body, tenant=who)
    assert status == 201, answer


def titles(stack: Stack, who: Tenant) -> list[str]:
    status, _, answer = stack.http("POST", "/v1/search", {"query": "apples"}, tenant=who)
    assert status == 200, answer
    return [each["title"] for each in orjson.loads(answer)["passages"]]


def told(stack: Stack) -> list[str]:
    """What `doctor` says of objects."""
    found = json.loads(tenantry(stack.home, "doctor", "--json").stdout)["problems"]
    words = ("are not there", "lie in the trash", "not this database's")
    return [line for line in found if any(word in line for word in words)]


def folder(stack: Stack, who: Tenant, kind: ObjectKind) -> Path:
    accounts = stack.home / "accounts"
    store = DiskObjects(accounts, DurableFiles(accounts))
    return store._folder(Home(TenantId(who.id), who.account), kind)


def test_objects_that_are_not_there_are_told_and_repaired(stack: Stack) -> None:
    anna, bert = stack.tenants({"requests_per_day": 100})
    for who in (anna, bert):
        added(stack, who, "First")
    assert [line for line in told(stack) if anna.name in line] == []
    segments = folder(stack, anna, ObjectKind.SEGMENT)
    trash = folder(stack, anna, ObjectKind.TRASH)
    trash.mkdir(exist_ok=True)
    (segment,) = segments.iterdir()
    segment.rename(trash / f"segments-{segment.name}")

    (first, second) = [line for line in told(stack) if anna.name in line]
    assert first.startswith("objects of ") and "tenantry objects recover" in first
    assert second.startswith("segments of ") and "documents reindex --again" in second
    assert bert.name not in first + second
    done = tenantry(stack.home, "objects", "recover", "--json")
    (mine,) = [each for each in json.loads(done.stdout) if each["tenant"] == anna.name]
    assert mine == {
        "tenant": anna.name,
        "objects": 1,
        "originals_missing": 0,
        "segments_missing": 0,
    }
    assert segment.exists() and list(trash.iterdir()) == []
    assert [line for line in told(stack) if anna.name in line] == []

    segment.unlink()
    (line,) = [line for line in told(stack) if anna.name in line]
    assert line.startswith("segments of ")
    environment = {"TENANTRY_API_KEY": anna.key.bearer, "TENANTRY_URL": stack.url}
    done = tenantry(stack.home, "documents", "reindex", "--again", environment=environment)
    assert done.returncode == 0, done.stderr
    assert titles(stack, anna) == titles(stack, bert) == ["First"]
    assert [line for line in told(stack) if anna.name in line] == []


def test_a_mark_of_another_database_is_told_until_the_operator_adopts(stack: Stack) -> None:
    mark = stack.home / "accounts" / NAME
    kept = wait_until(lambda: mark.exists() and mark.read_bytes(), "the first mark")
    assert [line for line in told(stack) if "this database's" in line] == []
    server, timeline, oid = json.loads(kept)["database"].split("/")
    strange = {
        "another server": f"{int(server) + 1}/{timeline}/{oid}",
        "another timeline of the server": f"{server}/{int(timeline) + 1}/{oid}",
        "another database": f"{server}/{timeline}/{int(oid) + 1}",
    }
    for what, name in strange.items():
        mark.write_text(json.dumps({**json.loads(kept), "database": name}))
        (line,) = [line for line in told(stack) if "this database's" in line]
        assert f"they belong to {what}." in line and "tenantry objects adopt" in line
        refused = tenantry(stack.home, "objects", "adopt")  # nobody there to answer
        assert refused.returncode == 1 and what in refused.stderr
        done = tenantry(stack.home, "objects", "adopt", "--yes")
        assert done.returncode == 0, done.stderr
        assert json.loads(mark.read_bytes())["database"] == f"{server}/{timeline}/{oid}"
        assert [line for line in told(stack) if "this database's" in line] == []
    assert "belong to this database" in tenantry(stack.home, "objects", "adopt").stdout
    mark.unlink()  # as of an empty folder, or one that was moved without its hidden files
    (line,) = [line for line in told(stack) if "this database's" in line]
    assert "they have no mark" in line and "tenantry objects adopt" in line
    refused = tenantry(stack.home, "objects", "adopt")
    assert refused.returncode == 1 and "they have no mark" in refused.stderr
    assert not mark.exists(), "nobody makes one but by the word"
    assert tenantry(stack.home, "objects", "adopt", "--yes").returncode == 0
    assert [line for line in told(stack) if "this database's" in line] == []
