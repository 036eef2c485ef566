"""Engines and calls for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bedrock_emulator.engine import Call, Engine, Operation

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
CallMaker = Callable[..., Call]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fixed(clock: Clock) -> Engine:
    return Engine(mode="fixed", clock=clock)


@pytest.fixture(scope="session")
def models() -> Engine:
    """The small models, loaded once; only for tests that leave the prompt cache alone."""
    return Engine()


@pytest.fixture
def call() -> CallMaker:
    def make(
        body: Any,
        operation: Operation = "Converse",
        model: str = CLAUDE,
        account: str = "111122223333",
        region: str = "us-east-1",
        headers: dict[str, str] | None = None,
    ) -> Call:
        return Call(operation, model, account, region, body, headers or {})

    return make
