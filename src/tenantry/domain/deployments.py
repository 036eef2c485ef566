"""What each way to run Tenantry costs a month, from a priced bill of materials. Pure and exact.

Prices are AWS list prices in us-east-1, on demand, without free tiers and discounts, each with
where and when it was read; `READ_NOWHERE` marks a list price that was taken from memory and should
be looked up before it is relied on. How much of a thing a load needs is an assumption throughout,
said in `why`. Tokens are not in it: they cost the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tenantry.domain import money

HOURS = 730  # of a month, as AWS counts
READ_NOWHERE = "assumed"
TENANTS = (10, 100, 1_000, 10_000)

# Assumptions about a load.
DOCUMENTS_GB_EACH = Decimal("0.05")  # of one tenant, originals and vectors, sealed
DISK_GB = Decimal(20)  # of a database before anything is in it
LEDGER_KB = 3  # of one request, with both books and their indexes
LEDGER_MONTHS = 13  # kept in the database before they are archived
LOG_KB = 1  # of one request
LAMBDA_S = 8  # of one request: the function waits while the model streams
LAMBDA_GB = Decimal("0.5")
REQUESTS_OF_A_TASK = 50_000_000  # a month; a tenth of what one core was measured to serve
TENANTS_OF_A_SMALL_DATABASE = 1_000


@dataclass(frozen=True, slots=True)
class Price:
    usd: Decimal
    unit: str
    read: str  # where and when

    @property
    def assumed(self) -> bool:
        return self.read == READ_NOWHERE


@dataclass(frozen=True, slots=True)
class Load:
    """A month: tenants, and requests of all of them."""

    tenants: int
    requests: int

    @property
    def documents_gb(self) -> Decimal:
        return money.times(DOCUMENTS_GB_EACH, Decimal(self.tenants))

    @property
    def ledger_gb(self) -> Decimal:
        return _in_millions(self.requests * LEDGER_KB * LEDGER_MONTHS)

    @property
    def tasks(self) -> int:
        """At least two, so that one may fail."""
        return max(2, -(-self.requests // REQUESTS_OF_A_TASK))


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a bill of materials: how much of what a load needs."""

    name: str
    price: str  # a key of PRICES
    quantity: Callable[[Load], Decimal]
    why: str


@dataclass(frozen=True, slots=True)
class BillLine:
    name: str
    quantity: Decimal
    price: Price
    usd: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class Bill:
    deployment: str
    load: Load
    lines: tuple[BillLine, ...]

    @property
    def usd(self) -> Decimal:
        return money.total(line.usd for line in self.lines)


def bill_of(deployment: str, load: Load) -> Bill:
    """Of one of `DEPLOYMENTS`; lines of which a load needs nothing are left out."""
    lines = []
    for part in DEPLOYMENTS[deployment]:
        quantity, price = part.quantity(load), PRICES[part.price]
        if quantity:
            usd = money.times(quantity, price.usd)
            lines.append(BillLine(part.name, quantity, price, usd, part.why))
    return Bill(deployment, load, tuple(lines))


def _price(usd: str, unit: str, read: str = READ_NOWHERE) -> Price:
    return Price(Decimal(usd), unit, read)


_FARGATE = "wring.co/blog/aws-fargate-pricing-guide, 2026-03-10"
_RDS = "infratally.com/articles/aws-rds-pricing-explained-2026.html, 2026"
_AURORA = "factualminds.com/blog/amazon-aurora-pricing-io-optimized-serverless-v2-global, 2026-06"
_EC2 = "factualminds.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026, 2026-06"
_DYNAMODB = "airbyte.com/data-engineering-resources/dynamodb-pricing, 2025-07-21"
_LAMBDA = "appropri8-astro.pages.dev/tutorials/2025/12/02/deploying-simple-api-aws, 2025-12-02"
PRICES: Mapping[str, Price] = {
    "t4g.medium": _price("0.0336", "hour"),
    "m7g.large": _price("0.0816", "hour", _EC2),
    "gp3": _price("0.08", "GB-month", "taourl.com/read-2670558.html, 2025-05-12"),
    "ipv4": _price("0.005", "hour"),
    "fargate vcpu": _price("0.04048", "vCPU-hour", _FARGATE),
    "fargate gb": _price("0.004445", "GB-hour", _FARGATE),
    "alb": _price("0.0225", "hour"),
    "lcu": _price("0.008", "LCU-hour"),
    "nat": _price("0.045", "hour"),
    "rds medium": _price("0.130", "hour", _RDS),
    "rds large": _price("0.318", "hour"),
    "rds gp3": _price("0.23", "GB-month", "usage.ai RDS pricing calculator, 2026-06: twice 0.115"),
    "acu": _price("0.12", "ACU-hour", _AURORA),
    "aurora gb": _price("0.10", "GB-month"),
    "aurora io": _price("0.20", "million", "jusdb.com/blog/aws-rds-vs-aurora-vs-serverless"),
    "http api": _price("1.00", "million", _LAMBDA),
    "lambda request": _price("0.20", "million", _LAMBDA),
    "lambda gb-s": _price("0.0000166667", "GB-second", _LAMBDA),
    "dynamodb write": _price("0.625", "million", _DYNAMODB),
    "dynamodb read": _price("0.125", "million", _DYNAMODB),
    "dynamodb gb": _price("0.25", "GB-month"),
    "sqs": _price("0.40", "million"),
    "s3 gb": _price("0.023", "GB-month"),
    "s3 put": _price("5.00", "million"),
    "kms key": _price("1.00", "key-month"),
    "kms request": _price("3.00", "million"),
    "logs gb": _price("0.50", "GB"),
}


def _in_millions(count: int) -> Decimal:
    return money.shifted(Decimal(count), -6)


def _hours(count: Callable[[Load], int]) -> Callable[[Load], Decimal]:
    return lambda load: Decimal(HOURS * count(load))


def _fixed(count: int) -> Callable[[Load], Decimal]:
    return lambda load: Decimal(count)


def _millions(each: Decimal | int) -> Callable[[Load], Decimal]:
    return lambda load: money.times(_in_millions(load.requests), Decimal(each))


def _small(load: Load) -> int:
    return int(load.tenants <= TENANTS_OF_A_SMALL_DATABASE)


_SEALED: Sequence[Part] = (
    Part("S3, sealed documents", "s3 gb", lambda load: load.documents_gb, "50 MB a tenant"),
    Part("S3, writes", "s3 put", lambda load: _in_millions(load.tenants * 200),
         "200 a tenant"),
    Part("KMS key", "kms key", _fixed(1), "one wraps a key per tenant"),
    Part("KMS requests", "kms request", lambda load: _in_millions(load.tenants * 100),
         "100 a tenant: opened keys are cached"),
    Part("CloudWatch Logs", "logs gb", lambda load: _in_millions(load.requests * LOG_KB),
         "1 kB a request"),
)  # fmt: skip
_TASKS: Sequence[Part] = (
    Part("Fargate vCPU", "fargate vcpu", _hours(lambda load: load.tasks + 1),
         "two gateways at least and a worker, 1 vCPU each"),
    Part("Fargate memory", "fargate gb", _hours(lambda load: 2 * (load.tasks + 1)), "2 GB each"),
    Part("Load balancer", "alb", _hours(lambda load: 1), "one"),
    Part("Load balancer capacity", "lcu", _hours(lambda load: load.tasks - 1), "one LCU a task"),
    Part("NAT gateways", "nat", _hours(lambda load: 2), "one in each of two zones"),
)  # fmt: skip
DEPLOYMENTS: Mapping[str, Sequence[Part]] = {
    "vm": (
        Part("VM t4g.medium", "t4g.medium", _hours(lambda load: int(load.tenants <= 100)),
             "up to 100 tenants; a laptop costs nothing; no standby"),
        Part("VM m7g.large", "m7g.large", _hours(lambda load: int(load.tenants > 100)),
             "over 100 tenants; no standby"),
        Part("Disk", "gp3", lambda load: money.total((DISK_GB, load.documents_gb, load.ledger_gb)),
             "20 GB, documents, 13 months of ledger"),
        Part("Public address", "ipv4", _hours(lambda load: 1), "one"),
    ),
    "ecs-rds": (
        *_TASKS,
        Part("RDS db.t4g.medium Multi-AZ", "rds medium", _hours(_small), "up to 1,000 tenants"),
        Part("RDS db.m6g.large Multi-AZ", "rds large", _hours(lambda load: 1 - _small(load)),
             "over 1,000 tenants"),
        Part("RDS storage", "rds gp3", lambda load: money.total((DISK_GB, load.ledger_gb)),
             "20 GB, 13 months of ledger"),
        *_SEALED,
    ),
    "aurora": (
        *_TASKS,
        Part("Aurora capacity", "acu",
             lambda load: money.shifted(Decimal(HOURS * (1_000 + load.tenants)), -3),
             "writer and reader at half a unit each, one more for 1,000 tenants"),
        Part("Aurora storage", "aurora gb", lambda load: money.total((Decimal(10), load.ledger_gb)),
             "10 GB, 13 months of ledger"),
        Part("Aurora I/O", "aurora io", _millions(30), "30 a request"),
        *_SEALED,
    ),
    "serverless": (
        Part("API Gateway", "http api", _millions(1), "one a request"),
        Part("Lambda requests", "lambda request", _millions(1), "one a request"),
        Part("Lambda time", "lambda gb-s",
             lambda load: money.times(Decimal(load.requests * LAMBDA_S), LAMBDA_GB),
             "8 s at 512 MB: it waits while the model streams"),
        Part("DynamoDB writes", "dynamodb write", _millions(12), "12 units a request"),
        Part("DynamoDB reads", "dynamodb read", _millions(10), "10 units a request"),
        Part("DynamoDB storage", "dynamodb gb", lambda load: load.ledger_gb, "13 months of ledger"),
        Part("SQS", "sqs", _millions(3), "3 a request"),
        *_SEALED,
    ),
}  # fmt: skip
