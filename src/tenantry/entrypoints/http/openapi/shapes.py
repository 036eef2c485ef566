"""What the tenants' own routes answer, as it stands in JSON. Money is a decimal in a string.

These types describe and are never made: the views make the JSON, and tests hold what is answered
against them, member by member.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from tenantry.domain.budget import Basis, Period
from tenantry.domain.document import DocumentState
from tenantry.domain.tenant import Scope
from tenantry.ports.reindexing import ReindexState

Instant = Annotated[datetime, Meta(tz=True)]
Value = str | float | bool | list[str]  # of a document's metadata


class Progress(TypedDict):
    """Passages, or documents, that are done, of so many."""

    done: int
    total: int


class Replacement(TypedDict):
    """A version on its way."""

    status: DocumentState
    size_bytes: int
    created_at: Instant
    failure: str | None
    progress: Progress


class Document(TypedDict):
    """A document, without its content. Pages are a PDF's, once it is ready; those without text,
    such as scanned ones, are not found.
    """

    id: str
    status: DocumentState
    title: str
    file_name: str
    content_type: str
    metadata: dict[str, Value]
    access: list[str]
    size_bytes: int
    passages: int
    pages: int | None
    pages_without_text: int | None
    created_at: Instant
    updated_at: Instant
    failure: str | None
    progress: Progress
    replacement: Replacement | None


class Reindex(TypedDict):
    id: str
    status: ReindexState
    model: str
    dimensions: int
    documents: Progress
    passages: Progress
    api_key_id: str
    failure: str | None
    failed_document_id: str | None
    created_at: Instant
    updated_at: Instant


class Passage(TypedDict):
    """`start` and `end` are code points of the document's text."""

    document_id: str
    title: str
    text: str
    score: float
    start: int
    end: int


class Citation(TypedDict):
    number: int
    document_id: str
    title: str
    text: str
    start: int
    end: int


class SearchAnswer(TypedDict):
    passages: list[Passage]


class QuestionAnswer(TypedDict):
    """`usage` counts by class, as usage has them."""

    answer: str
    citations: list[Citation]
    usage: dict[str, int]
    charge: Decimal | None
    currency: str
    request_id: str


class UsageRow(TypedDict):
    """One group: the members that it is grouped by, each a text, and what was used."""

    model: NotRequired[str]
    day: NotRequired[str]
    hour: NotRequired[str]
    key: NotRequired[str]
    user: NotRequired[str]
    tag: NotRequired[str]
    run: NotRequired[str]
    requests: int
    tokens: dict[str, int]
    charge: Decimal
    currency: str


Usage = TypedDict(
    "Usage",
    {
        "from": Instant,
        "to": Instant,
        "group_by": list[str],
        "data": list[UsageRow],
        "next_cursor": str | None,
    },
)
Usage.__doc__ = "Usage of a span, by group."


class Limit(TypedDict):
    """A limit of the plan, which counts, or a budget, whose members are money."""

    name: str
    limit: int | Decimal
    used: int | Decimal
    remaining: int | Decimal
    resets_at: Instant | None
    id: NotRequired[str | None]
    period: NotRequired[Period]
    basis: NotRequired[Basis]
    currency: NotRequired[str]
    hard: NotRequired[bool]
    settled: NotRequired[Decimal]
    reserved: NotRequired[Decimal]
    set_by: NotRequired[str | None]


class Limits(TypedDict):
    data: list[Limit]
    knowledge_base_id: str


class Budget(TypedDict):
    """`id` null: the plan's own, which is set with the plan."""

    id: str | None
    scope: str
    scope_id: str
    period: Period
    basis: Basis
    limit: Decimal
    currency: str
    hard: bool
    settled: Decimal
    reserved: Decimal
    remaining: Decimal
    resets_at: Instant | None
    set_by: str | None


class ApiKey(TypedDict):
    """Without its secrets. `models_allowed` null: those of the plan."""

    id: str
    name: str
    hint: str
    scopes: list[Scope]
    models_allowed: list[str] | None
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None


class NewApiKey(TypedDict):
    """The only answer that ever holds the secrets."""

    id: str
    key: str
    access_key_id: str
    secret_access_key: str


class ExportedTenant(TypedDict):
    id: str
    name: str
    plan: str
    plan_version: int
    zone: str
    anchor_day: int
    currency: str
    regions_allowed: list[str] | None


class Export(TypedDict):
    tenant: ExportedTenant
    sections: list[str]


ChargeLine = TypedDict(
    "ChargeLine", {"class": str, "quantity": int, "per_million": Decimal | None, "charge": Decimal}
)


class ExportedUse(TypedDict):
    """One posting of the ledger, in the customer's charge."""

    request_id: str
    call: int
    attempt: int
    kind: str
    admitted_at: Instant
    posted_at: Instant
    day: str
    model: str
    charge: Decimal
    currency: str
    lines: list[ChargeLine]
    plan: str
    plan_version: int
    price_version: int | None
    api_key_id: str
    user_hash: str | None
    run_id: str | None
    tags: dict[str, str]
    flags: list[str]


class ExportedReply(TypedDict):
    """An answer of the plan's cache. `body` is JSON, or a text; null: it is not there any more."""

    request_id: str | None
    expires_at: Instant
    body: NotRequired[Any]
    body_base64: NotRequired[str]


class ExportedResult(TypedDict):
    """An answer that is kept under an idempotency key."""

    request_id: str | None
    api_key_id: str
    expires_at: Instant
    status: NotRequired[int]
    headers: NotRequired[dict[str, str]]
    body: NotRequired[Any]
    body_base64: NotRequired[str]


class ExportedSession(TypedDict):
    id: str
    turns: int
    expires_at: Instant
    said: dict[str, Any] | None


class ExportedJob(TypedDict):
    """A batch job."""

    id: str
    state: str
    operation: str
    model: str
    records: int
    message: str
    created_at: Instant | None
    has_output: bool


class Erased(TypedDict):
    """How much of what was erased, and what remains and why."""

    erased: dict[str, int]
    remains: list[str]


class Liveness(TypedDict):
    status: Literal["ok"]


class Ready(TypedDict):
    status: Literal["ready"]


class Unready(TypedDict):
    """`code`, on the admin port: what is missing."""

    status: Literal["unready"]
    code: NotRequired[str]


class ListedModel(TypedDict):
    """As OpenAI's clients know models."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ListedModels(TypedDict):
    object: Literal["list"]
    data: list[ListedModel]
