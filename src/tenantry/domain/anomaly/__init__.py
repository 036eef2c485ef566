"""Unusual usage: which of a tenant's hours its operator should hear of before the bill.

Owns: what is normal for an hour of the week, how far above it is improbable, which excess is
worth a message, and when a message is news.
Does not own: where hours come from, delivery of alerts, budgets and their thresholds.
Invariants: an alert looks only at hours up to its own; the money floor is compared in exact
decimals (statistics are floats, no amount is); one episode is told once, and again only as a
reminder; every series has a bounded length.
"""

from tenantry.domain.anomaly.cohort import CohortPrior
from tenantry.domain.anomaly.detector import Kind, Noticed, alerts_of
from tenantry.domain.anomaly.facts import FactSeries, HourFacts, facts_of
from tenantry.domain.anomaly.finding import Finding, Unit
from tenantry.domain.anomaly.hours import (
    HOUR_S,
    BadHours,
    Series,
    UsageHour,
    hour_of,
    instant_of,
    series_of,
)
from tenantry.domain.anomaly.planned import PlannedEvent, check_announced
from tenantry.domain.anomaly.rows import LINE_CHARACTERS_MAX, instant_hour, series_by_tenant
from tenantry.domain.anomaly.settings import Floor, Settings
from tenantry.domain.anomaly.unusual import unusual

__all__ = [
    "HOUR_S",
    "LINE_CHARACTERS_MAX",
    "BadHours",
    "CohortPrior",
    "FactSeries",
    "Finding",
    "Floor",
    "HourFacts",
    "Kind",
    "Noticed",
    "PlannedEvent",
    "Series",
    "Settings",
    "Unit",
    "UsageHour",
    "alerts_of",
    "check_announced",
    "facts_of",
    "hour_of",
    "instant_hour",
    "instant_of",
    "series_by_tenant",
    "series_of",
    "unusual",
]
