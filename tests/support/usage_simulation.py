"""Tenants that never were: hours of use by a seed, with events whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tenantry.domain.anomaly import UsageHour

START_HOUR = 490_896  # 2026-01-01T00:00Z in hours since 1970, a Thursday
DAYS = 84
TENANTS = 200
FIRST_EVENT_DAY = 35
TOKENS_PER_REQUEST = 1_000
USD_PER_TOKEN = Decimal("0.000009")
SHAPES = ("business", "flat", "sparse", "growing")
SHAPE_SHARES = (0.40, 0.25, 0.20, 0.15)
EVENTS = ("spike", "burst", "step", "off_hours", "leak")
MATERIAL_TOKENS = 300_000
MATERIAL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """What was done to a tenant: hours [start, end), the tokens over normal, and of what."""

    kind: str
    start: int
    end: int
    excess: float
    normal: float

    @property
    def material(self) -> bool:
        return self.excess >= MATERIAL_TOKENS and self.excess >= MATERIAL_SHARE * self.normal


@dataclass(frozen=True, slots=True)
class SimulatedTenant:
    name: str
    shape: str
    rows: tuple[UsageHour, ...]
    event: Event | None


def tenants(seed: int, count: int = TENANTS, days: int = DAYS) -> Iterator[SimulatedTenant]:
    """The same tenants for the same seed."""
    random = np.random.default_rng(seed)
    for number in range(count):
        shape = str(random.choice(SHAPES, p=SHAPE_SHARES))
        yield _tenant(random, f"{shape}-{number:03}", shape, days)


def _tenant(random: np.random.Generator, name: str, shape: str, days: int) -> SimulatedTenant:
    normal = _rates(random, shape, days)
    rates, event = normal, None
    if random.random() < 0.5:
        rates, event = _with_event(random, normal)
    noise = np.repeat(_gamma(random, 0.04, days), 24) * _gamma(random, 0.08, days * 24)
    if random.random() < 1 / 3:
        quiet = int(random.integers(days))
        noise[quiet * 24 : quiet * 24 + 24] *= 0.15
    requests = random.poisson(rates * noise)
    tokens = random.poisson(requests * TOKENS_PER_REQUEST)
    rows = tuple(
        UsageHour(START_HOUR + at, int(used), int(asked), int(used) * USD_PER_TOKEN)
        for at, (used, asked) in enumerate(zip(tokens, requests, strict=True))
    )
    return SimulatedTenant(name, shape, rows, event)


def _gamma(random: np.random.Generator, variance: float, size: int) -> np.ndarray:
    return random.gamma(1 / variance, variance, size)


def _rates(random: np.random.Generator, shape: str, days: int) -> np.ndarray:
    """Expected requests of each hour."""
    hours = np.arange(days * 24)
    if shape == "sparse":
        return np.full(len(hours), random.uniform(0.1, 1.2))
    base = random.lognormal(np.log(random.uniform(33, 55)), 1.0)
    if shape == "flat":
        return np.full(len(hours), base)
    if shape == "growing":
        return base * (1 + random.uniform(0.003, 0.02)) ** (hours / 24)
    middle = random.uniform(0, 24)
    distance = (hours % 24 - middle + 12) % 24 - 12
    bell = 0.06 + 0.94 * np.exp(-0.5 * (distance / 4) ** 2)
    weekend = (START_HOUR // 24 + hours // 24 + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    return base * bell * np.where(weekend, random.uniform(0.1, 0.4), 1.0)


def _with_event(random: np.random.Generator, normal: np.ndarray) -> tuple[np.ndarray, Event]:
    kind = str(random.choice(EVENTS))
    length = {"spike": 3, "burst": 1, "step": 48, "off_hours": 5, "leak": 14 * 24}[kind]
    start = int(random.integers(FIRST_EVENT_DAY * 24, len(normal) - length))
    typical = float(np.median(normal))
    if kind == "off_hours":
        day = start // 24 * 24
        start = day + int(np.argmin([normal[day + h : day + h + 5].sum() for h in range(20)]))
    span = slice(start, start + length)
    rates = normal.copy()
    if kind == "spike":
        rates[span] = 6 * normal[span] + 3 * typical
    elif kind == "burst":
        rates[span] = 10 * normal[span] + 6 * typical
    elif kind == "step":
        rates[span] = 3 * normal[span]
    elif kind == "off_hours":
        rates[span] = np.maximum(normal[span], 1.2 * normal.max())
    else:
        rates[span] = normal[span] * 1.09 ** (np.arange(length) / 24)
    excess = float((rates - normal).sum()) * TOKENS_PER_REQUEST
    known = float(normal[span].sum()) * TOKENS_PER_REQUEST
    return rates, Event(kind, START_HOUR + start, START_HOUR + start + length, excess, known)
