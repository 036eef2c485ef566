"""The round of invoice numbers: an outage is the round's, a damaged file is an alert."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from tenantry.application.invoice_numbers import InvoiceNumbers
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.invoice_numbers import Given
from tenantry.ports.invoice_numbers import NumberFile, SeriesBook


class FailingFile:
    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def read(self) -> Mapping[str, Given]:
        raise self.failure


def _numbers(failure: Exception) -> InvoiceNumbers:
    return InvoiceNumbers(cast(SeriesBook, None), cast(NumberFile, FailingFile(failure)))


def test_an_outage_fails_the_round_which_then_comes_again_soon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(Unavailable, match="out of reach"):
        asyncio.run(_numbers(Unavailable("The database is out of reach.")).bring_up())
    assert caplog.messages == []


def test_a_damaged_file_is_an_alert_once(caplog: pytest.LogCaptureFixture) -> None:
    numbers = _numbers(Corrupt("invoice-numbers.json is damaged."))

    async def rounds() -> None:
        for _ in range(2):
            await numbers.bring_up()

    asyncio.run(rounds())
    assert caplog.messages == ["alert: invoice-numbers.json is damaged."]
