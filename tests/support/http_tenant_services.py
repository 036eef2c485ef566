"""Documents, answers, ledger and control plane in memory, for tests of the HTTP edge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from tests.support.http_prices import MemoryPrices
from tests.support.http_reindexes import MemoryReindexes

from tenantry.application.answers import Answer
from tenantry.application.asking import Question, Search
from tenantry.application.context import RequestContext
from tenantry.application.conversing import TurnCall
from tenantry.application.documents import Content, Page
from tenantry.application.ingestion import Ingested
from tenantry.application.library import Added, Found
from tenantry.application.reranking import RerankCall, Reranked
from tenantry.domain.access import may_see
from tenantry.domain.budget import BudgetKey
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Document, DocumentState, Progress, Replacement
from tenantry.domain.errors import BadRequest, NotFound, UpstreamTimeout
from tenantry.domain.filter import Filter
from tenantry.domain.ids import ApiKeyId, DocumentId, TenantId
from tenantry.domain.period import Span, billing_period
from tenantry.domain.placement import Placement
from tenantry.domain.plan import Plan, plan_from
from tenantry.domain.prompt import Citation
from tenantry.domain.rerank import Ranked, RankedPage
from tenantry.domain.tenant import (
    DEFAULT_SCOPES,
    Principal,
    Scope,
    Tenant,
    TenantStatus,
    check_tenant_name,
)
from tenantry.domain.upload import Upload
from tenantry.domain.usage import Usage
from tenantry.ports.control import Budget, KeyRow, NewKey
from tenantry.ports.ledger import GroupBy, UsageRow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHARGE = Decimal("0.0315")


class MemoryLibrary(MemoryReindexes):
    """Documents by tenant; a search finds the documents that hold the query's words."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, tuple[Document, bytes]]] = {}
        super().__init__()

    def _of(self, ctx: RequestContext) -> dict[str, tuple[Document, bytes]]:
        return self.held.setdefault(ctx.principal.tenant_id, {})

    def _seen(self, ctx: RequestContext, document_id: str) -> tuple[Document, bytes]:
        found = self._of(ctx).get(document_id)
        if found is None or not may_see(found[0].card.access, ctx.groups):
            raise NotFound("There is no such document.")
        return found

    async def add(self, ctx: RequestContext, upload: Upload) -> Added:
        number = sum(len(held) for held in self.held.values())
        document = Document(
            DocumentId(f"doc_{number:026d}"),
            DocumentState.READY,
            upload.card,
            len(upload.data),
            1,
            NOW,
            NOW,
        )
        same = next((d for d, data in self._of(ctx).values() if data == upload.data), None)
        if same is not None:
            return Added(Ingested(same, False), Decimal(0), "USD")
        self._of(ctx)[document.id] = (document, upload.data)
        return Added(Ingested(document, True), Decimal("0.000001"), "USD")

    async def replace(self, ctx: RequestContext, document_id: str, upload: Upload) -> Added:
        before, data = self._seen(ctx, document_id)
        if data == upload.data:
            return Added(Ingested(before, False), Decimal(0), "USD")
        after = replace(before, card=upload.card, size_bytes=len(upload.data))
        if b"slowly" in upload.data:
            version = Replacement(DocumentState.INDEXING, len(upload.data), Progress(64, 100), NOW)
            shown = replace(before, replacement=version)
            return Added(Ingested(shown, True), Decimal(0), "USD")
        self._of(ctx)[document_id] = (after, upload.data)
        return Added(Ingested(after, True), Decimal("0.000001"), "USD")

    async def page(self, ctx: RequestContext, cursor: str | None, limit: int) -> Page:
        ids = sorted(self._of(ctx), reverse=True)
        rest = [d for d in ids if cursor is None or d < cursor]
        visible = [
            self._of(ctx)[d][0]
            for d in rest
            if may_see(self._of(ctx)[d][0].card.access, ctx.groups)
        ]
        more = visible[limit - 1].id if len(visible) > limit else None
        return Page(visible[:limit], more)

    async def get(self, ctx: RequestContext, document_id: str) -> Document:
        return self._seen(ctx, document_id)[0]

    async def content(self, ctx: RequestContext, document_id: str) -> Content:
        document, data = self._seen(ctx, document_id)
        return Content(document.card, data)

    async def remove(self, ctx: RequestContext, document_id: str) -> None:
        self._seen(ctx, document_id)
        del self._of(ctx)[document_id]

    async def search(
        self, ctx: RequestContext, query: str, top_k: int, where: Filter | None
    ) -> Found:
        passages = [
            Passage(d.id, d.card.title, data.decode("utf-8", "replace"), 0.9, 0, len(data))
            for d, data in self._of(ctx).values()
            if may_see(d.card.access, ctx.groups)
            and (where is None or where.matches(d.card.metadata))
            and query.encode() in data
        ]
        return Found(passages[:top_k], Decimal("0.00001"), "USD")

    async def find(self, ctx: RequestContext, asked: Search) -> Found:
        asked.check()
        return await self.search(ctx, asked.query, asked.top_k, asked.where)


class FixedAnswerStream:
    def __init__(self, whole: Answer, breaks: bool) -> None:
        self.result: Answer | None = None
        self._whole = whole
        self._breaks = breaks
        self.max_tokens: int | None = None
        self.left = False

    @property
    async def texts(self) -> AsyncIterator[str]:
        for word in self._whole.answer.split(" "):
            yield f"{word} "
            if self._breaks:
                raise UpstreamTimeout
        self.result = self._whole

    @property
    def passages(self) -> Sequence[Passage]:
        return self._whole.passages

    async def told(self) -> None:
        return None

    def leave(self) -> None:
        self.left = True


class FixedAnswers:
    def __init__(self) -> None:
        self.breaks = False

    async def answer(
        self,
        ctx: RequestContext,
        question: str,
        model: str | None,
        top_k: int,
        where: Filter | None,
    ) -> Answer:
        citation = Citation(1, DocumentId("doc_x"), "Title", "passage", 0, 7)
        usage = Usage(uncached_in=1_000, out=500, embedding=5)
        passage = Passage(DocumentId("doc_x"), "Title", "passage", 0.9, 0, 7, {"lang": "en"})
        text, request_id = "It holds [1].", ctx.request_id
        return Answer(text, [citation], usage, CHARGE, "USD", request_id, passages=[passage])

    async def ask(self, ctx: RequestContext, asked: Question) -> Answer:
        search = asked.search
        search.check()
        return await self.answer(ctx, search.query, asked.model, search.top_k, search.where)

    async def ask_stream(self, ctx: RequestContext, asked: Question) -> FixedAnswerStream:
        return FixedAnswerStream(await self.ask(ctx, asked), self.breaks)


class FixedConversations:
    """Every turn is a session's first."""

    def __init__(self, answers: FixedAnswers) -> None:
        self._answers = answers

    async def answer(self, ctx: RequestContext, call: TurnCall) -> tuple[str, Answer]:
        call.search.check()
        search = call.search
        asked = (ctx, search.query, call.model, search.top_k, search.where)
        return "ses_1", await self._answers.answer(*asked)

    async def stream(self, ctx: RequestContext, call: TurnCall) -> tuple[str, FixedAnswerStream]:
        session_id, whole = await self.answer(ctx, call)
        return session_id, FixedAnswerStream(whole, self._answers.breaks)


class FixedReranker:
    """The last document is the best."""

    async def rerank(self, ctx: RequestContext, call: RerankCall) -> Reranked:
        places = reversed(range(len(call.sources)))
        results = [Ranked(place, place / len(call.sources)) for place in places]
        return Reranked(RankedPage(results[: call.most]), Decimal("0.003"), "USD")


class MemoryLedger:
    """Each tenant's charge is its name's length, so that two tenants differ."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str | None]] = []  # user's hash and run

    async def usage(
        self,
        principal: Principal,
        start: datetime,
        end: datetime,
        group_by: Sequence[GroupBy],
        *,
        user_hash: str | None = None,
        run_id: str | None = None,
        **page: Any,
    ) -> list[UsageRow]:
        self.asked.append((user_hash, run_id))
        group = {name: f"some-{name}" for name in group_by}
        charge = Decimal(len(principal.tenant.name))
        return [UsageRow(group, 3, {"uncached_in": 1_000, "out": 500}, charge, "USD")]

    async def period(self, principal: Principal) -> Span:
        return billing_period(NOW, principal.tenant.zone, principal.tenant.anchor_day)

    async def limits(
        self, principal: Principal, *, user_hash: str | None = None, run_id: str | None = None
    ) -> list[Mapping[str, Any]]:
        self.asked.append((user_hash, run_id))
        return [
            {
                "name": "monthly_budget",
                "limit": Decimal("5.00"),
                "used": CHARGE,
                "remaining": Decimal("4.9685"),
                "resets_at": NOW,
            }
        ]


class MemoryControl(MemoryPrices):
    def __init__(self, tenants: Sequence[Tenant], placement: Placement) -> None:
        super().__init__()
        self.tenants = {tenant.id: tenant for tenant in tenants}
        self.placement = placement
        self.plans = {"free": Plan("free")}
        self.keys: list[tuple[str, KeyRow]] = []
        self.budgets: list[Budget] = []
        self.applied: list[Any] = []

    async def create_tenant(
        self,
        name: str,
        *,
        plan: str,
        placement: str | None = None,
        zone: str = "UTC",
        anchor_day: int = 1,
        currency: str = "USD",
        regions_allowed: Sequence[str] | None = None,
    ) -> Tenant:
        check_tenant_name(name)
        if plan not in self.plans:
            raise NotFound("There is no such plan.")
        made = Tenant(
            TenantId(f"tnt_{name}"),
            name,
            TenantStatus.ACTIVE,
            self.plans[plan],
            self.placement,
            zone,
            anchor_day,
            currency,
        )
        self.tenants[made.id] = made
        return made

    async def get_tenant(self, tenant: str) -> Tenant:
        for known in self.tenants.values():
            if tenant in (known.id, known.name):
                return known
        raise NotFound("There is no such tenant.")

    async def list_tenants(self, *, after: str | None = None, limit: int = 100) -> list[Tenant]:
        ids = sorted(i for i in self.tenants if after is None or i > after)
        return [self.tenants[i] for i in ids[:limit]]

    async def set_suspended(self, tenant_id: TenantId, suspended: bool) -> None:
        status = TenantStatus.SUSPENDED if suspended else TenantStatus.ACTIVE
        self.tenants[tenant_id] = replace(self.tenants[tenant_id], status=status)

    async def create_key(
        self,
        tenant_id: TenantId,
        *,
        name: str = "",
        scopes: frozenset[Scope] | None = None,
        models_allowed: frozenset[str] | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        key = ApiKeyId(f"key_{len(self.keys)}")
        row = KeyRow(
            key, name, "cret", scopes or DEFAULT_SCOPES, models_allowed, NOW, expires_at, None
        )
        self.keys.append((tenant_id, row))
        return NewKey(key, "tk_secret", "AKIASECRET", "very-secret")

    async def list_keys(
        self, tenant_id: TenantId, *, after: str | None = None, limit: int = 100
    ) -> list[KeyRow]:
        rows = [row for owner, row in self.keys if owner == tenant_id]
        return [row for row in rows if after is None or row.id > after][:limit]

    async def revoke_key(self, tenant_id: TenantId, api_key_id: str) -> None:
        for number, (owner, row) in enumerate(self.keys):
            if owner == tenant_id and row.id == api_key_id:
                self.keys[number] = (owner, replace(row, revoked_at=NOW))
                return
        raise NotFound("There is no such key.")

    async def apply_plans(self, plans: Mapping[str, Mapping[str, Any]]) -> list[Plan]:
        made = [plan_from(name, table) for name, table in plans.items()]
        self.plans |= {plan.name: plan for plan in made}
        return made

    async def list_plans(self, *, after: str | None = None, limit: int | None = None) -> list[Plan]:
        names = sorted(name for name in self.plans if after is None or name > after)
        return [self.plans[name] for name in names[:limit]]

    async def apply_models(self, models: Sequence[Any]) -> None:
        self.applied += models

    async def now(self) -> datetime:
        return datetime.now(UTC)

    async def list_placements(
        self, *, after: str | None = None, limit: int | None = None
    ) -> list[Placement]:
        found = [each for each in self.applied if isinstance(each, Placement)]
        return [each for each in found if after is None or each.id > after][:limit]

    async def apply_placement(self, placement: Placement) -> None:
        try:
            placement.check()
        except ValueError as wrong:
            raise BadRequest(str(wrong)) from None
        self.applied.append(placement)

    async def set_budget(self, budget: Budget) -> None:
        self.budgets.append(budget)

    async def remove_budget(self, tenant_id: TenantId, key: BudgetKey) -> None:
        kept = [b for b in self.budgets if (b.tenant_id, _key_of(b)) != (tenant_id, key)]
        if len(kept) == len(self.budgets):
            raise NotFound("There is no such budget.")
        self.budgets = kept

    async def list_budgets(
        self, tenant_id: TenantId, *, after: BudgetKey | None = None, limit: int = 100
    ) -> list[Mapping[str, Any]]:
        return [
            {"scope": b.scope, "scope_id": b.scope_id, "limit": b.limit, "period": b.period}
            for b in self.budgets
            if b.tenant_id == tenant_id
        ]


def _key_of(budget: Budget) -> BudgetKey:
    subject = "tenant" if budget.scope == "tenant" else f"{budget.scope}:{budget.scope_id}"
    return BudgetKey(subject, budget.period, budget.basis)


class MemoryLabels:
    """A hash of tenant and name, in the form of the real one."""

    async def erased(self, principal: Principal) -> frozenset[str]:
        return frozenset()

    async def user_hash(
        self, principal: Principal, user: str, erased: frozenset[str] | None = None
    ) -> str:
        return sha256(f"{principal.tenant_id} {user}".encode()).hexdigest()[:32]

    async def salt(self, principal: Principal) -> str:
        return "[salt]"
