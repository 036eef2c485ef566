"""Subjects and lines of a mail, whatever the notice holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tenantry.adapters.smtp.words import SUBJECT_CHARACTERS_MAX, subject, text
from tenantry.domain.ids import TenantId
from tenantry.ports.delivery import Delivery

NONE = UUID(int=0)
AT = datetime(2026, 12, 1, tzinfo=UTC)


def delivery(body: Mapping[str, Any], tenant_id: str = "", kind: str = "usage.spike") -> Delivery:
    return Delivery(TenantId(tenant_id), NONE, "mail", kind, body, AT, 1, AT, NONE, AT)


@pytest.mark.parametrize("length", range(1, 140))
def test_a_subject_is_cut_between_words_and_never_in_a_figure(length: int) -> None:
    said = "x" * length + " 0.00607886 of 0.0060012345 USD"
    told = subject(delivery({"summary": said}), "local")
    assert len(told) <= SUBJECT_CHARACTERS_MAX
    whole = f"[tenantry local] usage spike: {said}"
    if told != whole:
        kept = told.removesuffix(" …")
        assert kept != told
        assert whole.startswith(kept)
        assert whole[len(kept)] == " " or length > SUBJECT_CHARACTERS_MAX // 2


@pytest.mark.parametrize(
    ("body", "tenant_id", "told"),
    [
        ({}, "", None),
        ({}, "tnt_1", "tenant: tnt_1"),
        ({"tenant": "tnt_1", "tenant_name": "acme"}, "", "tenant: acme (tnt_1)"),  # an operator's
        ({"tenant": "tnt_1", "tenant_name": "acme"}, "tnt_1", "tenant: acme (tnt_1)"),
        ({"tenant": "tnt_1"}, "tnt_1", "tenant: tnt_1"),
    ],
)
def test_whose_it_is_has_one_line(body: dict[str, Any], tenant_id: str, told: str | None) -> None:
    lines = list(text(delivery(body, tenant_id), "local"))
    assert [line for line in lines if "tnt_" in line] == ([] if told is None else [told])


def test_facts_have_one_order_their_units_and_no_line_for_what_is_not_known() -> None:
    body = {
        "unit": "tokens_per_request", "zeta": 1, "currency": "EUR", "excess_charge": "0.5",
        "alpha": True, "ends_at": "b", "starts_at": "a", "excess_tokens": None, "alert_id": "alr_1",
        "expected": "2", "observed": "9", "subject": "tenant", "severity": "warning",
    }  # fmt: skip
    for shown in (body, dict(reversed(body.items()))):
        told = "\n".join(text(delivery(shown), "local")).split("\n\n")
        assert told[1].splitlines() == [
            "subject: tenant", "starts_at: a", "ends_at: b", "observed: 9 tokens per request",
            "expected: 2 tokens per request", "excess_charge: 0.5 EUR", "alpha: yes", "zeta: 1",
        ]  # fmt: skip
