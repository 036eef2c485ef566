"""What the outside shall hear of: alerts, budget thresholds, invoices, jobs.

Owns: the word. A notice is written in the transaction that causes it and delivered at least once;
its id stays the same over all deliveries, so that a receiver can tell a repetition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.domain.ids import TenantId

PLATFORM: Final = TenantId("")  # the tenant of a notice that concerns none
TEST_NOTICE: Final = "platform.test"  # says nothing: whoever has it hears of notices


@dataclass(frozen=True, slots=True)
class Notice:
    """`kind` is `<noun>.<event>`, such as `invoice.finalised`. A second notice of the same tenant,
    kind and `once_key` is none. `body` is JSON that a receiver sees: no provider cost, no markup
    where the tenant may be the receiver.
    """

    tenant_id: TenantId
    kind: str
    once_key: str
    body: Mapping[str, object]
