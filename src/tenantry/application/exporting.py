"""Everything that a tenant owns, section by section and page by page, for an admin of it.

| section | what | of one end user too |
|---|---|---|
| documents | each with metadata and access tags, whoever may see it; originals one by one | |
| usage | the customer's book, posting by posting | yes |
| invoices | whole, drafts among them | |
| budgets, api_keys | its settings, without secrets | |
| replies | answers that may be given again | yes |
| results | answers kept under idempotency keys | yes |
| sessions | conversations and what was said in them | yes |
| batch_jobs | facts of each; outputs one by one | |

Owns: what belongs to a tenant. Does not own: files (the command line writes them). Invariants: what
is another tenant's is not there; access tags do not hide a tenant's documents from its own admin;
an end user that never was and one of another tenant are the same: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tenantry.application.answer_store import AnswerStore
from tenantry.application.billing import Billing
from tenantry.application.documents import paged
from tenantry.application.idempotency import Whole, open_kept
from tenantry.application.invoice_lists import get_invoice, list_invoices
from tenantry.application.knowledge import Knowledge, document_of, no_such_document
from tenantry.application.sessions import opened_session
from tenantry.domain.batch import records_uri
from tenantry.domain.budget import BudgetKey, key_from_id
from tenantry.domain.cursor import no_cursor
from tenantry.domain.document import Home, home_of
from tenantry.domain.errors import BadRequest, Conflict, Corrupt, NotFound
from tenantry.domain.ids import DocumentId, is_id
from tenantry.domain.tenant import Principal
from tenantry.ports.batch import BatchJob, Buckets
from tenantry.ports.control import KeyRow
from tenantry.ports.export import Entry, KeptReply, KeptResult, KeptSession, TenantExport
from tenantry.ports.labels import Labels
from tenantry.ports.tenant_admin import TenantAdmin

PAGE_MAX: Final = 100
CONTENT_PAGE_MAX: Final = 20  # of what is opened in memory, 1 MB each
_CURSORS: Final = {"documents": "doc", "api_keys": "key", "sessions": "ses"}  # ids of that prefix
USER_SECTIONS: Final = ("usage", "replies", "results", "sessions")


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Rows of one section, in its own words; `next_cursor` None: there are no more."""

    rows: Sequence[Any]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Original:
    """A document's bytes, and when its row was updated: a row of that time is of this version."""

    data: bytes
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OpenedResult:
    """`answer` None: it does not open any more, or says secrets, which are shown once."""

    result: KeptResult
    answer: Whole | None


@dataclass(frozen=True, slots=True)
class OpenedReply:
    reply: KeptReply
    body: bytes | None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    session: KeptSession
    said: Mapping[str, Any] | None


class Exports:
    """One for each worker."""

    def __init__(
        self,
        knowledge: Knowledge,
        store: TenantExport,
        answers: AnswerStore,
        admin: TenantAdmin,
        billing: Billing,
        buckets: Buckets,
    ) -> None:
        self._knowledge = knowledge
        self._store = store
        self._answers = answers
        self._admin = admin
        self._billing = billing
        self._buckets = buckets
        self._pages: Mapping[str, Callable[[Principal, str | None, int], Awaitable[ExportPage]]] = {
            "documents": self._documents,
            "usage": lambda who, after, limit: self._usage(who, after, limit, None),
            "invoices": self._invoices,
            "budgets": self._budgets,
            "api_keys": self._api_keys,
            "replies": lambda who, after, limit: self._replies(who, after, limit, None),
            "results": lambda who, after, limit: self._results(who, after, limit, None),
            "sessions": lambda who, after, limit: self._sessions(who, after, limit, None),
            "batch_jobs": self._jobs,
        }

    @property
    def sections(self) -> Sequence[str]:
        return tuple(self._pages)

    async def page(
        self, principal: Principal, section: str, cursor: str | None, limit: int
    ) -> ExportPage:
        """Raises `NotFound` for another section, `BadRequest` for a cursor that is none."""
        read = self._pages.get(section)
        if read is None:
            raise NotFound("There is no such section.")
        _check_cursor(section, cursor)
        return await read(principal, cursor, min(limit, PAGE_MAX))

    async def user_page(
        self,
        principal: Principal,
        user_hashes: Sequence[str],
        section: str,
        cursor: str | None,
        limit: int,
    ) -> ExportPage:
        """What there is of one end user alone, whose `hashes_of` these are."""
        limit = min(limit, PAGE_MAX)
        _check_cursor(section, cursor)
        match section:
            case "usage":
                return await self._usage(principal, cursor, limit, user_hashes)
            case "replies":
                return await self._replies(principal, cursor, limit, user_hashes)
            case "results":
                return await self._results(principal, cursor, limit, user_hashes)
            case "sessions":
                return await self._sessions(principal, cursor, limit, user_hashes)
        raise BadRequest(f"`section` must be one of {', '.join(USER_SECTIONS)}.")

    async def original(self, principal: Principal, document_id: str) -> Original:
        """A document as it was uploaded. Raises `NotFound`, also where it is replaced meanwhile."""
        home = home_of(principal.tenant)
        row = await self._knowledge.manifest.document(home.tenant_id, DocumentId(document_id))
        if row is None:
            raise no_such_document()
        _, data = await self._knowledge.original(home, row)
        return Original(data, row.updated_at)

    async def batch_output(self, principal: Principal, job_id: str) -> bytes:
        """What Bedrock answered, as JSON lines. Raises `NotFound`, also while it runs."""
        try:
            before = UUID(int=UUID(job_id).int - 1)
        except ValueError:
            raise NotFound("There is no such batch job.") from None
        found = await self._store.jobs(principal.tenant_id, str(before), 1)
        if not found or str(found[0].request_id) != job_id or found[0].job_arn is None:
            raise NotFound("There is no such batch job, or it has no output.")
        job = found[0]
        assert job.job_arn is not None
        uri = records_uri(job.output_uri, job.job_arn, job.input_uri)
        return await self._buckets.get(job.upstream, uri)

    async def _documents(self, who: Principal, cursor: str | None, limit: int) -> ExportPage:
        home = home_of(who.tenant)
        after = None if cursor is None else DocumentId(cursor)
        found, following = await paged(self._knowledge, home, after, limit, lambda card: True)
        return ExportPage([document_of(row, card) for row, card in found], following)

    async def _usage(
        self, who: Principal, cursor: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> ExportPage:
        rows: Sequence[Entry] = await self._store.usage(who.tenant_id, cursor, limit, user_hashes)
        return ExportPage(
            [row.told for row in rows], rows[-1].cursor if len(rows) == limit else None
        )

    async def _invoices(self, who: Principal, cursor: str | None, limit: int) -> ExportPage:
        billing, tenant = self._billing, who.tenant
        now = self._knowledge.clock.now()
        heads = await list_invoices(
            billing.invoices, tenant, now, billing.issuer, before=cursor, limit=limit
        )
        finals = [head for head in heads if head["status"] != "draft"]
        found: list[Mapping[str, Any]] = []
        for head in heads:
            number = str(head["number"])
            try:
                found.append(
                    await get_invoice(billing.invoices, tenant, number, now, billing.issuer)
                )
            except Conflict:
                found.append(head)  # a draft that cannot be made yet says why
        return ExportPage(found, finals[-1]["number"] if len(finals) == limit else None)

    async def _budgets(self, who: Principal, cursor: str | None, limit: int) -> ExportPage:
        """All of them on one page for each `PAGE_MAX`; the plan's own has no id."""
        after = None if cursor is None else _budget_key(cursor)
        rows = await self._admin.budgets(who, after=after, limit=limit)
        more = len(rows) == limit and rows[-1]["id"] is not None
        return ExportPage(rows, rows[-1]["id"] if more else None)

    async def _api_keys(self, who: Principal, cursor: str | None, limit: int) -> ExportPage:
        rows: Sequence[KeyRow] = await self._admin.keys(who, after=cursor, limit=limit)
        return ExportPage(rows, rows[-1].id if len(rows) == limit else None)

    async def _replies(
        self, who: Principal, cursor: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> ExportPage:
        limit = min(limit, CONTENT_PAGE_MAX)
        rows = await self._store.replies(who.tenant_id, cursor, limit, user_hashes)
        opened = [OpenedReply(row, await self._reply(home_of(who.tenant), row)) for row in rows]
        return ExportPage(opened, rows[-1].cursor if len(rows) == limit else None)

    async def _reply(self, home: Home, row: KeptReply) -> bytes | None:
        try:
            at = replace(home, account=row.account)
            return await self._answers.body(at, row.name, row.object_id)
        except (NotFound, Corrupt):
            return None

    async def _results(
        self, who: Principal, cursor: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> ExportPage:
        limit = min(limit, CONTENT_PAGE_MAX)
        rows = await self._store.results(who.tenant_id, cursor, limit, user_hashes)
        opened = [OpenedResult(row, await self._result(home_of(who.tenant), row)) for row in rows]
        return ExportPage(opened, rows[-1].cursor if len(rows) == limit else None)

    async def _result(self, home: Home, row: KeptResult) -> Whole | None:
        sealer = self._knowledge.sealer
        try:
            answer = await open_kept(sealer, home, row.key, row.request_id, row.sealed)
        except (NotFound, Corrupt):
            return None
        return None if answer.headers.get("cache-control") == "no-store" else answer

    async def _sessions(
        self, who: Principal, cursor: str | None, limit: int, user_hashes: Sequence[str] | None
    ) -> ExportPage:
        limit = min(limit, CONTENT_PAGE_MAX)
        rows = await self._store.sessions(who.tenant_id, cursor, limit, user_hashes)
        home = home_of(who.tenant)
        opened = [OpenedSession(row, await self._said(home, row)) for row in rows]
        return ExportPage(opened, rows[-1].session_id if len(rows) == limit else None)

    async def _said(self, home: Home, row: KeptSession) -> Mapping[str, Any] | None:
        if row.object_id is None:
            return None
        deps = self._knowledge
        try:
            at = replace(home, account=row.account)
            return await opened_session(
                deps.objects, deps.sealer, at, row.session_id, row.object_id
            )
        except (NotFound, Corrupt):
            return None

    async def _jobs(self, who: Principal, cursor: str | None, limit: int) -> ExportPage:
        rows: Sequence[BatchJob] = await self._store.jobs(who.tenant_id, cursor, limit)
        return ExportPage(rows, str(rows[-1].request_id) if len(rows) == limit else None)


def _check_cursor(section: str, cursor: str | None) -> None:
    """A page that begins nowhere would look like the last one."""
    prefix = _CURSORS.get(section)
    if cursor is not None and prefix is not None and not is_id(prefix, cursor):
        raise no_cursor()


async def hashes_of(
    labels: Labels, principal: Principal, spellings: Sequence[str]
) -> Sequence[str]:
    """Those that an end user's name leads to in any spelling (`spellings_from`); first the one that
    its requests have."""
    erased = await labels.erased(principal)
    found = [await labels.user_hash(principal, spellings[0], erased)]
    for spelling in spellings:
        found.append((await labels.user_hashes(principal, spelling, erased))[-1])
    return list(dict.fromkeys(found))


def _budget_key(cursor: str) -> BudgetKey:
    key = key_from_id(cursor)
    if key is None:
        raise no_cursor()
    return key
