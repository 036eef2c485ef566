"""A worker of its own, as a process: `python -m tests.support.ledger_process <spec as JSON>`.

It admits `count` requests at once and prints one JSON line of what was admitted. Then it does what
its standard input says: `settle` settles all and prints `settled`; end of file ends it.
"""

import asyncio
import json
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import asyncpg
from tests.support.ledger import MARKUP, MODEL, intent, new_boot_id, new_request_id

from tenantry.adapters.postgres.admission import PostgresAdmission
from tenantry.adapters.postgres.batcher import Batcher
from tenantry.domain.ids import ApiKeyId, TenantId
from tenantry.domain.price import ModelPrice, Step
from tenantry.domain.rating import rate
from tenantry.domain.usage import TokenClass, Usage
from tenantry.ports.admission import Admitted, AttemptOutcome, Reservation, Settlement


def spec_of(world: Any, count: int, **changes: Any) -> str:
    """What such a process is to do, for the tenant `anna` of a world."""
    return json.dumps(
        {
            "dsn": world.database.dsn("app"),
            "tenant_id": world.anna.tenant_id,
            "api_key_id": world.anna.api_key_id,
            "plan": world.anna.tenant.plan.name,
            "plan_version": world.anna.tenant.plan.version,
            "price_version": world.prices.version,
            "count": count,
            "worst_cost": "0.0105",
            "worst_charge": "0.0315",
            "quantity": 700,  # output tokens
            "unit_cost": "15",
            "user_hash": None,
            "run_id": None,
            **changes,
        }
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def run(spec: dict[str, Any]) -> None:
    batcher = Batcher(lambda: asyncpg.connect(spec["dsn"]), new_boot_id())
    await batcher.start()
    admission = PostgresAdmission(batcher)
    template = Reservation(
        new_request_id(),
        TenantId(spec["tenant_id"]),
        ApiKeyId(spec["api_key_id"]),
        spec["plan"],
        spec["plan_version"],
        spec["price_version"],
        1_500,
        Decimal(spec["worst_cost"]),
        Decimal(spec["worst_charge"]),
        intent(),
        user_hash=spec["user_hash"],
        run_id=spec["run_id"],
    )
    asked = [replace(template, request_id=new_request_id()) for _ in range(spec["count"])]
    verdicts = await asyncio.gather(*(admission.admit(each) for each in asked))
    admitted = [a for a, v in zip(asked, verdicts, strict=True) if isinstance(v, Admitted)]
    say(json.dumps([str(each.request_id) for each in admitted]))
    loop = asyncio.get_running_loop()
    while order := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        assert order == "settle"
        usage, unit_cost = Usage(out=spec["quantity"]), Decimal(spec["unit_cost"])
        price = ModelPrice(MODEL, {"default": (Step(0, {TokenClass.OUT: unit_cost}),)})
        rated = rate(usage, price, tier="default", markup=MARKUP)
        outcome = AttemptOutcome(0, 1, "settled", usage, rated)
        await asyncio.gather(
            *(
                admission.settle(Settlement(a.request_id, a.tenant_id, (outcome,), True))
                for a in admitted
            )
        )
        say("settled")
    await batcher.close()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
