"""A look at whoever else may need a KMS key ends as a whole where it fails."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_server import AwsServer
from tests.support.keys_in_aws import InAws, in_aws
from tests.support.postgres import Database

from tenantry.domain.document import Home
from tenantry.domain.errors import Unavailable
from tenantry.ports.keys import RestingKeys


def test_nothing_looks_on_where_one_tenants_keys_cannot_be_read(
    database: Database, tmp_path: Path, aws: AwsServer
) -> None:
    """The next look comes some seconds later: those that went on would be ever more."""

    async def body(at: InAws) -> None:
        await at.moved(at.anna)
        others = {(await at.ground.another()).tenant_id for _ in range(3)}
        keys: Any = at.ground.keys(kms=at.kms)
        resting, looking, all_look = keys.resting, set[str](), asyncio.Event()

        async def slow(home: Home) -> RestingKeys:
            if home.tenant_id in others:
                looking.add(home.tenant_id)
                if looking == others:
                    all_look.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    looking.discard(home.tenant_id)
            if home.tenant_id == at.bert.tenant_id:
                await all_look.wait()
                raise Unavailable("The key store cannot be read.")
            found: RestingKeys = await resting(home)
            return found

        keys.resting = slow
        roots = dataclasses.replace(at.shredder().roots, keys=keys)
        with pytest.raises(Unavailable, match="cannot be read"):
            await roots.check_alone(at.own(at.anna))
        assert looking == set()

    in_aws(database, tmp_path, aws, body)
