"""Step 3 of the request's way: may they? A reservation over every call that the request may make.

Owns: turning planned calls into one reservation, and a verdict into an error. Does not own: the
decision, which falls in the database for all workers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from decimal import Decimal
from typing import Any

from tenantry.application.context import RequestContext
from tenantry.domain import errors, money
from tenantry.domain.catalogue import Resolved
from tenantry.domain.clamp import largest_output
from tenantry.domain.ids import TenantId
from tenantry.domain.price import PriceEdition, Unpriced
from tenantry.domain.rating import Bound, worst_charge, worst_cost
from tenantry.domain.record import record
from tenantry.domain.tenant import Principal
from tenantry.ports.admission import AdmissionPort, Admitted, Intent, Refused, Reservation
from tenantry.ports.directory import Directory

_COST = " cost"  # ends the name of a budget whose basis is the provider's cost
# The plan's budget and those of four scopes by three periods and two bases can each be the next to
# refuse: 25 turns, and a few for what others take meanwhile.
CLAMP_TRIES = 32
_SHOWN = Decimal("0.000001")  # as fine as a refusal's words are; its members are exact
STALE_TRIES = 3  # a plan or price that changes more often than this in one request is an outage


@record
class PlannedCall:
    """One call that the request may make, with the most it can use.

    `output_least`: what its output may be lowered to where a budget has too little left; None: it
    may not be lowered.
    """

    resolved: Resolved
    operation: str
    region: str
    bound: Bound
    deadline_ms: int
    tiers: frozenset[str] = frozenset()
    pinned: dict[str, Any] = field(default_factory=dict)
    output_least: int | None = None
    price: Decimal = money.ZERO  # charged whatever it costs: the plan's price of a cached answer
    hides_trace: bool = False  # a guardrail's trace is asked for by us and not by the client

    @property
    def guarded(self) -> bool:
        """Whether a guardrail looks at the call, so that its answer must tell units."""
        return self.bound.guards_output

    def price_key(self, prices: PriceEdition) -> str:
        """What it is priced by: the provider bills the region that the call goes to."""
        return prices.key_in(self.resolved.price_key, self.region)

    def intent(self, principal: Principal, prices: PriceEdition, call: int, attempt: int) -> Intent:
        return Intent(
            call=call,
            attempt=attempt,
            operation=self.operation,
            model=self.resolved.model.id,
            price_key=self.price_key(prices),
            account=principal.tenant.placement.account,
            region=self.region,
            deadline_ms=self.deadline_ms,
            pinned=self.pinned,
        )


# What to plan for whom, with at most so many output tokens (None: as many as were asked for).
Planner = Callable[[Principal, int | None], Sequence[PlannedCall]]
# Hears of a budget's refusal that the caller is told.
OnRefused = Callable[[TenantId, Refused], None]


@record
class Admission:
    """A reservation that is committed: under which plan and prices, for which calls."""

    principal: Principal
    calls: Sequence[PlannedCall]
    prices: PriceEdition
    admitted: Admitted


async def admit(
    port: AdmissionPort,
    directory: Directory,
    ctx: RequestContext,
    plan: Planner,
    *,
    user_hash: str | None,
    counts_as_request: bool = True,
    paced_by_minute: bool = True,
    on_refused: OnRefused | None = None,
) -> Admission:
    """Reserves and commits, or raises the refusal.

    `plan` is asked again where a plan changed, and where a budget has too little left but enough
    for a shorter answer. Several budgets may bite in turn, each time for less. `on_refused` hears
    of the last one alone, and only where nothing shorter is left.
    """
    principal, prices = ctx.principal, await directory.prices()
    most: int | None = None
    asked = money.ZERO
    stale = clamped = 0
    while True:
        calls = plan(principal, most)
        reservation = _reservation(
            ctx, principal, calls, prices, user_hash, counts_as_request, paced_by_minute
        )
        if most is None:
            asked = reservation.worst_charge
        verdict = await port.admit(reservation)
        if isinstance(verdict, Admitted):
            return Admission(principal, calls, prices, verdict)
        if verdict.code == "budget":
            most = _most_left(calls, prices, principal, verdict)
            clamped += 1
            if most is None or clamped > CLAMP_TRIES:
                if on_refused is not None:
                    on_refused(principal.tenant_id, verdict)
                raise _out_of_budget(verdict, asked)
            continue
        if verdict.code == "stale_plan":
            principal = await directory.refresh(principal)
        elif verdict.code == "stale_price":
            prices = await directory.prices(reload=True)
        else:
            raise to_error(verdict)
        most = None
        stale += 1
        if stale == STALE_TRIES:
            raise errors.Unavailable("plan and prices are changing")


def _most_left(
    calls: Sequence[PlannedCall], prices: PriceEdition, principal: Principal, refused: Refused
) -> int | None:
    """The most output that what the refusing budget had left would hold, less than was planned."""
    left = refused.budget_left
    places = [place for place, call in enumerate(calls) if call.output_least is not None]
    if left is None or len(places) != 1:  # two answers would have to share what is left
        return None
    place = places[0]
    planned, least = calls[place], calls[place].output_least
    assert least is not None
    in_cost = refused.limit.endswith(_COST)

    def fits(output_tokens: int) -> bool:
        bound = replace(planned.bound, output_tokens=output_tokens)
        lowered = [*calls[:place], replace(planned, bound=bound), *calls[place + 1 :]]
        cost, charge = _worst(lowered, prices, principal)
        return (cost if in_cost else charge) <= left

    return largest_output(fits, least=least, most=planned.bound.output_tokens - 1)


def _worst(
    calls: Sequence[PlannedCall], prices: PriceEdition, principal: Principal
) -> tuple[Decimal, Decimal]:
    """The most that calls can cost, and that they can charge."""
    cost = charge = money.ZERO
    for call in calls:
        price, guardrails = prices.of(call.price_key(prices)), prices.guardrails
        markup = principal.tenant.plan.markup_of(call.resolved.model.id)
        one = worst_cost(call.bound, price, tiers=call.tiers, guardrails=guardrails)
        by_list = money.times(one, markup.default)
        if markup.by_class:
            by_list = worst_charge(
                call.bound, price, markup, tiers=call.tiers, guardrails=guardrails
            )
        cost, charge = money.total((cost, one)), money.total((charge, by_list, call.price))
    return cost, charge


def _refusal_of(
    problem: Unpriced, calls: Sequence[PlannedCall], prices: PriceEdition, principal: Principal
) -> errors.BadRequest:
    """Whose a missing price is: the caller's, where only what the request marks to be cached, or
    for how long, has none."""

    def priced(**unmarked: bool) -> bool:
        asked = [replace(call, bound=replace(call.bound, **unmarked)) for call in calls]
        try:
            _worst(asked, prices, principal)
        except Unpriced:
            return False
        return True

    marked = [call.resolved.model.id for call in calls if call.bound.cache_writes_5m]
    if marked and priced(cache_writes_1h=False):
        said = f"model {marked[0]} has no price for an hour in the cache: the ttl is 5m"
        return errors.BadRequest(said, of="cache")
    if marked and priced(cache_writes_5m=False, cache_writes_1h=False):
        said = f"model {marked[0]} has no price for cached prompts: leave out what marks one"
        return errors.BadRequest(said, of="cache")
    # A query's embedding beside a chat is by the plan's model, which the caller has not named.
    asked_for = [call for call in calls if not call.bound.embeds] or calls
    named = problem.key in {call.price_key(prices) for call in asked_for}
    return errors.ModelUnpriced(str(problem), of=problem.of if named else None)


def _reservation(
    ctx: RequestContext,
    principal: Principal,
    calls: Sequence[PlannedCall],
    prices: PriceEdition,
    user_hash: str | None,
    counts_as_request: bool,
    paced_by_minute: bool,
) -> Reservation:
    try:
        worst, charge = _worst(calls, prices, principal)
    except Unpriced as problem:
        raise _refusal_of(problem, calls, prices, principal) from None
    plan = principal.tenant.plan
    return Reservation(
        request_id=ctx.request_id,
        tenant_id=principal.tenant_id,
        api_key_id=principal.api_key_id,
        plan=plan.name,
        plan_version=plan.version,
        price_version=prices.version,
        worst_tokens=sum(c.bound.input_tokens + c.bound.output_tokens for c in calls),
        worst_cost=worst,
        worst_charge=charge,
        first=calls[0].intent(principal, prices, 0, 1),
        user_hash=user_hash,
        run_id=ctx.run_id,
        tags=ctx.tags,
        counts_as_request=counts_as_request,
        paced_by_minute=paced_by_minute,
    )


def to_error(refused: Refused) -> errors.TenantryError:
    """What the caller is told. Exhaustive over `RefusalCode`."""
    told = _told(refused)
    match refused.code:
        case "requests_per_minute" | "tokens_per_minute" | "concurrent_requests" if (
            refused.retry_after_ms is None
        ):
            return errors.LargerThanLimit(f"limit {refused.limit} is 0: waiting does not help")
        case "requests_per_minute" | "tokens_per_minute":
            return errors.RateLimited(f"limit {refused.limit} is reached", **told)
        case "concurrent_requests":
            return errors.ConcurrencyLimited(f"limit {refused.limit} is reached", **told)
        case "requests_per_day":
            return errors.QuotaExceeded(f"limit {refused.limit} is used up", **told)
        case "budget":
            return _out_of_budget(refused)
        case "larger_than_limit":
            return errors.LargerThanLimit(f"the request is larger than {refused.limit} allows")
        case "tenant_suspended":
            return errors.TenantSuspended()
        case "tenant_unknown":
            return errors.KeyWrong()
        case "key_revoked":
            return errors.KeyRevoked()
        case "key_expired":
            return errors.KeyExpired()
        case "duplicate":
            return errors.Conflict("this request id was used before")
        case "stale_plan" | "stale_price":
            return errors.Unavailable("plan and prices are changing")


def _out_of_budget(refused: Refused, worst_charge: Decimal | None = None) -> errors.BudgetExceeded:
    """With what is left and what the request as it was asked would have held, both in the currency
    of the budget. `worst_charge` is in USD."""
    budget, told = refused.budget, _told(refused)
    if refused.limit.endswith(_COST):
        told["limit"] = "guard"  # an operator's, in provider cost: whose and of what, nobody learns
    elif budget is not None and worst_charge is not None:
        held, left, unit = money.times(worst_charge, budget.rate), budget.left, budget.unit
        told |= {
            "worst_charge": money.plain(held),
            "charge_left": money.plain(left),
            "currency": unit,
        }
        if not left:
            return errors.BudgetExceeded(f"budget {refused.limit} has nothing left", **told)
        most = money.plain(money.at_least(held, _SHOWN))
        has = money.plain(money.at_most(left, _SHOWN) or left)
        said = f"this request may cost up to {most} {unit}"
        said += f" and budget {refused.limit} has {has} {unit} left"
        return errors.BudgetExceeded(said, **told)
    said = f"budget {told['limit']} has too little left for this request"
    return errors.BudgetExceeded(said, **told)


def _told(refused: Refused) -> dict[str, Any]:
    return {
        "limit": refused.limit,
        "retry_after_ms": refused.retry_after_ms,
        "resets_at": refused.resets_at.isoformat() if refused.resets_at else None,
    }
