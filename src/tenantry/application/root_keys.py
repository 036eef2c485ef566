"""A tenant's own root keys: which they are, and that no other tenant needs them before they go.

Owns: who else uses a KMS key. Does not own: which of them may be retired at all, and how
(`adapters/keys`). Invariant: no root key is retired that wraps a key of a living tenant else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tenantry.application.pages import living_tenants
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import Conflict, NotFound, Unavailable
from tenantry.domain.tenant import Tenant
from tenantry.ports.control import ControlPlane
from tenantry.ports.keys import KmsKeys, Retirement, WrappedKey
from tenantry.ports.shred import TenantKeys

READ_AT_ONCE: Final = 16  # tenants whose wrapped keys are read
NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class RootKeys:
    """What retiring works with. `own_id`: the id that a home's own root key would have."""

    control: ControlPlane
    keys: TenantKeys
    kms: KmsKeys
    own_id: Callable[[Home], str]

    async def check_alone(self, home: Home) -> None:
        """Conflict, which names them (`awaits`: their homes), where others need a root key that
        `retire` would disable, or may need it: one that is damaged or lost may come back from a
        backup."""
        own = await self._own(home)
        arns = await self.kms.retirable(home.account, own.key_id, own.arns, sure=own.is_sure)
        if not arns:
            return
        found = await self._others(arns, home)
        users = [tenant for tenant, need in found if need is _Need.CERTAIN]
        unclear = [tenant for tenant, need in found if need is _Need.POSSIBLE]
        unlikely = [tenant for tenant, need in found if need is _Need.UNLIKELY]
        named, blind = await self._named(arns, unlikely)
        unclear += named
        which = f"The KMS key of this tenant ({', '.join(sorted(arns))})"
        if users:
            raise Conflict(
                f"{which} also wraps the keys of {_some(users)}: they have to move to another one"
                " first.",
                awaits=[home_of(each) for each in users],
            )
        if unclear:
            raise Conflict(
                f"{which} may also wrap keys of {_some(unclear)}: of theirs one is damaged or not"
                f" in the key store, and has to be brought back or given up first.{blind}",
                awaits=[home_of(each) for each in unclear],
            )

    async def retire(self, home: Home) -> Retirement | None:
        """See `ports.keys.KmsKeys.retire`. Conflict as `check_alone`."""
        await self.check_alone(home)
        own = await self._own(home)
        return await self.kms.retire(home.account, own.key_id, own.arns, sure=own.is_sure)

    async def _own(self, home: Home) -> _Own:
        """Where there is or was one: the plan may be another by now, and a backup of the wrapped
        key would open by a root key that is left."""
        key_id, wrapped = self.own_id(home), list[WrappedKey]()
        with contextlib.suppress(NotFound):
            wrapped += (await self.keys.resting(home)).whole
        own = [each for each in wrapped if each.name.kms_key == key_id]
        arns = {each.arn for each in own if each.arn is not None}
        arns |= {arn for each in wrapped for arn in each.former}
        return _Own(key_id, sorted(arns), home.own_kms_key or bool(own))

    async def _others(self, arns: Collection[str], home: Home) -> Sequence[tuple[Tenant, _Need]]:
        """Living tenants else. Where one cannot be asked about, none is any more."""
        gate = asyncio.Semaphore(READ_AT_ONCE)

        async def need(tenant: Tenant) -> _Need:
            async with gate:
                try:
                    resting = await self.keys.resting(home_of(tenant))
                except NotFound:  # no name under which any could rest
                    return _Need.NONE
            if any(each.arn in arns for each in resting.whole):
                return _Need.CERTAIN
            if not resting.absent:
                return _Need.NONE
            known = resting.absent_arns
            return _Need.UNLIKELY if known is not None and not known & set(arns) else _Need.POSSIBLE

        others = [each async for each in living_tenants(self.control) if each.id != home.tenant_id]
        outage: list[Unavailable] = []
        try:
            async with asyncio.TaskGroup() as asking:
                found = [asking.create_task(need(each)) for each in others]
        except* Unavailable as outages:  # some Pythons give what is raised in here a group
            outage = [each for each in outages.exceptions if isinstance(each, Unavailable)]
        if outage:
            raise outage[0]
        return [(each, told.result()) for each, told in zip(others, found, strict=True)]

    async def _named(
        self, arns: Collection[str], unlikely: Sequence[Tenant]
    ) -> tuple[Sequence[Tenant], str]:
        """Those whose own root key one of these is called now, of whom the notes may be older than
        the keys, as in a database that was brought back. All where AWS does not tell, with why."""
        try:
            named = await self.kms.named_by(arns) if unlikely else ()
        except Unavailable as problem:
            return unlikely, f" Its aliases might tell more (kms:ListAliases): {problem}"
        return [each for each in unlikely if self.own_id(home_of(each)) in named], ""


def _some(tenants: Sequence[Tenant]) -> str:
    more = f" and {len(tenants) - NAMED_MAX:,} more" if len(tenants) > NAMED_MAX else ""
    return f"{', '.join(each.name for each in tenants[:NAMED_MAX])}{more}"


class _Need(Enum):
    """Whether another tenant needs one of some root keys. `UNLIKELY`: its key is damaged or lost,
    and by the notes none of them may wrap it."""

    NONE = auto()
    UNLIKELY = auto()
    POSSIBLE = auto()
    CERTAIN = auto()


@dataclass(frozen=True, slots=True)
class _Own:
    key_id: str
    arns: Sequence[str]
    is_sure: bool  # that there is or was one
