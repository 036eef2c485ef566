"""The catalogue of attacks, in the order in which they are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tenantry.entrypoints.audit.attack import Attack
from tenantry.entrypoints.audit.attacks.apart import admin_crossings, money_attacks
from tenantry.entrypoints.audit.attacks.caches import cache_attacks
from tenantry.entrypoints.audit.attacks.crossing import costs, crossings
from tenantry.entrypoints.audit.attacks.engine_rows import engine_row_attacks
from tenantry.entrypoints.audit.attacks.groups import group_attacks
from tenantry.entrypoints.audit.attacks.keys import key_attacks
from tenantry.entrypoints.audit.attacks.names import name_attacks
from tenantry.entrypoints.audit.attacks.placement import placement_attacks
from tenantry.entrypoints.audit.attacks.prompts import prompt_attacks
from tenantry.entrypoints.audit.attacks.rows import row_attacks
from tenantry.entrypoints.audit.attacks.seals import seal_attacks
from tenantry.entrypoints.audit.attacks.sessions import session_attacks
from tenantry.entrypoints.audit.ground import Ground
from tenantry.entrypoints.audit.routes import Operation


def catalogue(ground: Ground) -> list[Attack]:
    """Every attack on this deployment. What looks at all replies comes last."""
    tables = [] if ground.local is None else ground.local.tenant_tables()
    return attacks_on(ground.operations, ground.admin_operations, tables)


def attacks_on(
    operations: Sequence[Operation], admin: Sequence[Operation], tables: Sequence[str]
) -> list[Attack]:
    attacks = [
        *crossings(operations),
        *placement_attacks(),
        *name_attacks(),
        *group_attacks(),
        *cache_attacks(),
        *prompt_attacks(),
        *session_attacks(),
        *admin_crossings(admin),
        *money_attacks(),
        *row_attacks(tables),
        *seal_attacks(),
        *engine_row_attacks(),
        *key_attacks(),  # among them the tenant that is suspended
        *costs(operations),
    ]
    doubles = [
        name for name, count in Counter(attack.id for attack in attacks).items() if count > 1
    ]
    assert not doubles, f"two attacks have one id: {doubles}"
    return attacks
