"""A shred takes what lies in the trash, also what is moved there while it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.postgres import Database
from tests.support.shredding import Ground, begun, is_untouched, on_ground

from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.application.shredding import advance_shred
from tenantry.ports.objects import ObjectKind


def test_a_shred_empties_the_trash_of_its_tenant(database: Database, tmp_path: Path) -> None:
    async def body(at: Ground) -> None:
        objects = DiskObjects(at.root / "accounts", DurableFiles(), trash_s=600.0)
        for who in (at.anna, at.bert):
            await objects.put(at.home(who), ObjectKind.ORIGINAL, "lost", b"x")
            assert await objects.discard(at.home(who), ObjectKind.ORIGINAL, "lost")
        home = at.home(at.anna)

        class Meanwhile:
            """Somebody discards all segments once the shred has looked for them."""

            def __getattr__(self, name: str) -> Any:
                return getattr(objects, name)

            async def list(self, of: Any, kind: ObjectKind) -> Any:
                found = await objects.list(of, kind)
                if kind is ObjectKind.SEGMENT:
                    for entry in found:
                        await objects.discard(of, kind, entry.object_id)
                return found

        done = await advance_shred(await begun(at, objects=Meanwhile()), at.anna.tenant_id)
        assert done.shred.step == "certified"
        told = json.loads(done.shred.certificate or "")["erased"]
        assert told["sealed objects: trash"] == 3
        for kind in ObjectKind:
            assert await objects.list(home, kind) == []
        (kept,) = await objects.list(at.home(at.bert), ObjectKind.TRASH)
        assert kept.object_id == "originals-lost"
        await is_untouched(at)

    on_ground(database, tmp_path, body)
