"""A tenant, the API keys that speak for it, and the principal that a request becomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from unicodedata import normalize

from tenantry.domain.errors import BadRequest
from tenantry.domain.ids import ApiKeyId, TenantId, is_id
from tenantry.domain.party import LINE_CHARS_MAX
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan
from tenantry.domain.printable import is_name

TENANT_NAME_CHARS_MAX: Final = LINE_CHARS_MAX  # until a contract says otherwise, invoices bear it
KEY_NAME_CHARS_MAX: Final = 128
_TENANT_NAME_GIVEN_MAX: Final = 4 * TENANT_NAME_CHARS_MAX  # a character is written as four at most


class TenantStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    SHREDDED = "shredded"  # for good, and from the first step of a shred on


class Scope(StrEnum):
    """What an API key may do. `admin` includes the others."""

    INFER = "infer"
    SEARCH = "search"
    DOCUMENTS_WRITE = "documents:write"
    ADMIN = "admin"


DEFAULT_SCOPES = frozenset({Scope.INFER, Scope.SEARCH, Scope.DOCUMENTS_WRITE})


@dataclass(frozen=True, slots=True)
class Tenant:
    id: TenantId
    name: str
    status: TenantStatus
    plan: Plan
    placement: Placement
    zone: str = "UTC"  # IANA name; civil days and billing periods are of this zone
    anchor_day: int = 1  # the day of the month on which a billing period begins
    currency: str = "USD"  # of list charges: that of provider prices
    regions_allowed: frozenset[str] | None = None  # None = those of the placement
    invoice_currency: str = "USD"  # the contract's; the control plane alone reads it


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: one tenant, through one API key. Made by authentication alone.

    A principal may come from a cache; status of tenant and key are decided again in the admit
    batch.
    """

    tenant: Tenant
    api_key_id: ApiKeyId
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    models_allowed: frozenset[str] | None = None  # None = those of the plan
    expires_at: datetime | None = None

    @property
    def tenant_id(self) -> TenantId:
        return self.tenant.id

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


def tenant_name_from(words: str) -> str:
    """A tenant's name as it is kept: in Unicode's composed form, without blanks around it, so that
    no two read alike for those. What is no name stays as it is, for `check_tenant_name`."""
    if len(words) > _TENANT_NAME_GIVEN_MAX:
        return words
    return normalize("NFC", words).strip(" ")


def check_tenant_name(name: str) -> None:
    """Raises `BadRequest`, also for a name that would be taken for another tenant's id."""
    if not is_name(name, TENANT_NAME_CHARS_MAX):
        raise BadRequest(f"`name` must be 1 to {TENANT_NAME_CHARS_MAX} printable characters.")
    if is_id("tnt", name):
        raise BadRequest("`name` must not have the form of a tenant's id.")


def check_key_name(name: str) -> None:
    """Of an API key, which need not have one. Raises `BadRequest`."""
    if name and not is_name(name, KEY_NAME_CHARS_MAX):
        raise BadRequest(f"`name` must be 1 to {KEY_NAME_CHARS_MAX} printable characters.")
