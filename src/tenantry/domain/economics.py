"""What a month of a product costs and earns: from the reference case to an honest one.

Pure and exact. The reference case is the one that articles print: one blended token price, no
fees, no waste. The honest one has separate input and output prices, prompts of retrieval's
size, fixed floors, payment fees and waste. Markup is not margin: 2×, 3× and 5× are margins of
50, 66.7 and 80 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tenantry.domain import money

_ONE = Decimal(1)
_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A month. Prices are USD for 1,000,000 tokens; fees and waste are fractions of 1."""

    customers: int
    queries_per_customer: int = 100
    tokens_in: int = 500
    tokens_out: int = 500
    price_in: Decimal = Decimal(3)
    price_out: Decimal = Decimal(3)
    revenue_per_customer: Decimal = Decimal(50)
    fixed_cost: Decimal = Decimal(28)  # vector store 20, compute 5, API 3
    payment_fee_rate: Decimal = money.ZERO
    payment_fee_each: Decimal = money.ZERO
    waste_rate: Decimal = money.ZERO  # of model cost: retries, abandoned answers, write-offs
    monthly_churn: Decimal = money.ZERO
    acquisition_cost: Decimal = money.ZERO  # of one customer
    markup: Decimal = money.ZERO  # charged on what models cost, beside the revenue above

    @property
    def model_cost_each(self) -> Decimal:
        """Of the average customer."""
        queries = self.queries_per_customer
        return money.total(
            (
                money.per_million(queries * self.tokens_in, self.price_in),
                money.per_million(queries * self.tokens_out, self.price_out),
            )
        )

    @property
    def contribution_of_use(self) -> Decimal:
        """What the average customer's use brings, less what it costs: may be below zero."""
        kept = money.times(self.markup, money.less(_ONE, self.payment_fee_rate))
        return money.times(self.model_cost_each, money.less(kept, _ONE, self.waste_rate))

    @property
    def contribution_of_customer(self) -> Decimal:
        """What a customer brings that uses nothing."""
        kept = money.times(self.revenue_per_customer, money.less(_ONE, self.payment_fee_rate))
        return money.less(kept, self.payment_fee_each)


@dataclass(frozen=True, slots=True)
class Economics:
    """The month's figures in USD, unrounded; shares in per cent."""

    model_cost: Decimal
    waste: Decimal
    fixed_cost: Decimal
    fees: Decimal
    revenue: Decimal
    lifetime_value: Decimal | None  # of one customer; None without churn
    payback_months: Decimal | None  # None where a customer never pays back

    @property
    def total_cost(self) -> Decimal:
        return money.total((self.model_cost, self.waste, self.fixed_cost, self.fees))

    @property
    def contribution(self) -> Decimal:
        """Revenue without what each query causes."""
        return money.less(self.revenue, self.model_cost, self.waste, self.fees)

    @property
    def profit(self) -> Decimal:
        return money.less(self.revenue, self.total_cost)

    @property
    def margin_percent(self) -> Decimal | None:
        """To a tenth, half up; None without revenue."""
        return percent_of(self.profit, self.revenue) if self.revenue else None


# The honest case: a mid-sized model, prompts with passages in them, a small deployment's floors.
HONEST = Scenario(
    customers=10,
    tokens_in=4_500,
    tokens_out=500,
    price_in=Decimal(3),
    price_out=Decimal(15),
    fixed_cost=Decimal(95),
    payment_fee_rate=Decimal("0.029"),
    payment_fee_each=Decimal("0.30"),
    waste_rate=Decimal("0.03"),
    monthly_churn=Decimal("0.03"),
    acquisition_cost=Decimal(200),
)


def economics(scenario: Scenario) -> Economics:
    """The figures of one scenario."""
    customers = Decimal(scenario.customers)
    model_cost = money.times(customers, scenario.model_cost_each)
    revenue = money.total(
        (
            money.times(customers, scenario.revenue_per_customer),
            money.times(model_cost, scenario.markup),
        )
    )
    fees = money.total(
        (
            money.times(revenue, scenario.payment_fee_rate),
            money.times(customers, scenario.payment_fee_each),
        )
    )
    waste = money.times(model_cost, scenario.waste_rate)
    each = _each(money.less(revenue, model_cost, waste, fees), scenario.customers)
    churn, acquisition = scenario.monthly_churn, scenario.acquisition_cost
    return Economics(
        model_cost,
        waste,
        scenario.fixed_cost,
        fees,
        revenue,
        lifetime_value=money.ratio(each, churn) if churn else None,
        payback_months=money.ratio(acquisition, each) if each > 0 else None,
    )


def shown(amount: Decimal, step: Decimal = _CENT) -> Decimal:
    """Rounded half up for a report; what comes to nothing has no sign."""
    rounded = money.rounded(amount, step)
    return rounded if rounded else money.absolute(rounded)


def percent_of(part: Decimal, whole: Decimal) -> Decimal:
    """To a tenth, half up."""
    return shown(money.ratio(money.times(part, _HUNDRED), whole), _TENTH)


def _each(contribution: Decimal, customers: int) -> Decimal:
    return money.ratio(contribution, Decimal(customers)) if customers else money.ZERO
