"""The ledger against the emulator's own bill, as a Cost and Usage Report.

The report is made by `tests/support/cur.py` from what the emulator billed, with prices and usage
types of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.cur import Line, as_csv, lines_of, other_lines, write_parquet
from tests.support.s3_server import s3_server
from tests.support.stack import ACCOUNTS
from tests.support.stack_command import tenantry
from tests.support.traffic import CALLS, Traffic, reconcile

TOMORROW = datetime.now(UTC) + timedelta(days=1)
TO = ("--to", f"{TOMORROW + timedelta(days=1):%Y-%m-%d}")
FROM = ("--from", f"{TOMORROW - timedelta(days=3):%Y-%m-%d}")  # also when tomorrow is next month
NOVA_OUT = "NovaMicro-output-tokens"


@pytest.fixture(scope="module")
def bill(traffic: Traffic) -> list[Line]:
    records = [
        record
        for account in ACCOUNTS.values()
        for record in traffic.stack.emulator.bill(account)["records"]
    ]
    return lines_of(records)


def held(traffic: Traffic, folder: Path, lines: Sequence[Line], *options: str) -> Any:
    """Exit status, what was found, what was said, of a report of these lines."""
    file = folder / "report-00001.csv.gz"
    file.write_bytes(as_csv(lines))
    status, report, said = reconcile(traffic, "--bill", str(file), *TO, *options)
    return status, report["bill"], said


def the_one(lines: Sequence[Line], usage_type: str, account: str = ACCOUNTS["pool"]) -> Line:
    """The dearest line of a usage type."""
    found = [
        line
        for line in lines
        if usage_type in line["line_item_usage_type"]
        and line["line_item_usage_account_id"] == account
    ]
    return max(found, key=lambda line: Decimal(line["line_item_unblended_cost"]))


def ids(report: dict[str, Any], kind: str) -> list[str]:
    return [one["id"] for one in report["breaks"] if one["kind"] == kind]


def test_the_bill_of_the_same_traffic_has_no_break(
    traffic: Traffic, bill: list[Line], tmp_path: Path
) -> None:
    day = bill[0]["line_item_usage_start_date"][:10]
    lines = [*bill, *other_lines(day, ACCOUNTS["pool"])]
    status, report, said = held(traffic, tmp_path, lines)
    assert (status, report["breaks"], said) == (0, [], "")
    assert report["lines"] == len(bill)
    assert Decimal(report["ledger_usd"]) > 2, "more than cents are compared"
    assert abs(Decimal(report["within_tolerance_usd"])) < Decimal("1e-9"), "to the last digit"
    assert report["set_aside"] == {
        "guardrail policies": {"lines": 1, "usd": "0.15"},
        "provisioned throughput, by the hour": {"lines": 1, "usd": "432.6"},
    }
    assert report["other_lines"] == {
        "Credit": {"lines": 1, "usd": "-25"},
        "Tax": {"lines": 1, "usd": "1.5"},
    }
    assert report["other_services"] == {"lines": 1, "usd": "2.304"}
    assert {t["tenant_id"] for t in report["tenants"]} == {traffic.anna.id, traffic.bert.id}
    assert all(t["ledger_usd"] == t["bill_usd"] for t in report["tenants"])
    assert report["unnamed_usd"] == "0"


def test_every_break_of_a_bill_is_found(traffic: Traffic, bill: list[Line], tmp_path: Path) -> None:
    lines = deepcopy(bill)
    missing = the_one(lines, NOVA_OUT)
    lines.remove(missing)
    doubled = the_one(lines, NOVA_OUT, ACCOUNTS["silo"])
    lines.append(doubled)
    mispriced = the_one(lines, "_OutputTokenCount-Units")
    mispriced["line_item_unblended_cost"] = str(
        Decimal(mispriced["line_item_unblended_cost"]) * Decimal("1.1")
    )
    stranger = deepcopy(mispriced)
    stranger |= {
        "identity_line_item_id": "stranger",
        "line_item_usage_type": "USE1-openai.gpt-oss-120b-mantle-input-tokens-standard",
        "line_item_unblended_cost": "7",
    }
    more = the_one(lines, "_InputTokenCount_Global", ACCOUNTS["silo"])
    for name in ("line_item_usage_amount", "line_item_unblended_cost"):
        more[name] = str(Decimal(more[name]) + 1)
    lines.append(stranger)

    status, report, said = held(traffic, tmp_path, lines)

    assert status == 1
    [lost] = [one for one in report["breaks"] if one["kind"] == "missing"]
    day = missing["line_item_usage_start_date"][:10]
    assert lost["id"].startswith(f"{day} {ACCOUNTS['pool']} us-east-1 amazon.nova-micro-v1:0")
    assert abs(Decimal(lost["difference_usd"])) == Decimal(missing["line_item_unblended_cost"])
    [twice] = [one for one in report["breaks"] if one["kind"] == "doubled"]
    assert twice["id"].startswith(doubled["identity_line_item_id"])
    assert Decimal(twice["difference_usd"]) == Decimal(doubled["line_item_unblended_cost"])
    [dear] = [one for one in report["breaks"] if one["kind"] == "mispriced"]
    assert dear["usage_types"] == [mispriced["line_item_usage_type"]]
    strangers = {
        tuple(one["usage_types"]): one["difference_usd"]
        for one in report["breaks"]
        if one["kind"] == "unattributed"
    }
    assert strangers == {
        (stranger["line_item_usage_type"],): "7",
        (more["line_item_usage_type"],): "1",
    }
    assert set(ids(report, "tenant_difference")) == {traffic.anna.id, traffic.bert.id}
    assert report["break_count"] == 7
    assert "7 breaks between ledger and bill" in said


def test_a_usage_type_that_nobody_knows_stops_it(
    traffic: Traffic, bill: list[Line], tmp_path: Path
) -> None:
    odd = {**bill[0], "line_item_usage_type": "USE1-Zebra9-input-tokens"}
    file = tmp_path / "odd.csv"
    file.write_bytes(as_csv([*bill, odd]))
    ask = ("reconcile", "--bill", str(file), *TO)
    refused = tenantry(traffic.stack.home, *ask)
    assert refused.returncode == 1
    assert "1 usage types are not known: USE1-Zebra9-input-tokens" in refused.stderr
    ignored = tenantry(traffic.stack.home, *ask, "--ignore", "USE1-Zebra9-*")
    assert ignored.returncode == 0, ignored.stderr
    assert "ignored as asked, 1 lines" in ignored.stdout


def test_a_bill_by_tenant(traffic: Traffic, bill: list[Line], tmp_path: Path) -> None:
    lines = deepcopy(bill)
    swapped = the_one(lines, NOVA_OUT)
    swapped["tags"] = {"iamPrincipal/tid": traffic.bert.name}  # a tag may also hold the name
    status, report, _ = held(traffic, tmp_path, lines)
    assert status == 1
    assert set(ids(report, "tenant_difference")) == {traffic.anna.id, traffic.bert.id}
    differences = [Decimal(one["difference_usd"]) for one in report["breaks"]]
    assert sum(differences) == 0
    # By the caller's session, where there is no tag; where some lines name nobody, it is told only.
    for line in lines:
        line["tags"] = {}
    swapped["line_item_iam_principal"] = "arn:aws:iam::111111111111:user/someone"
    status, report, _ = held(traffic, tmp_path, lines)
    assert (status, report["breaks"]) == (0, [])
    assert report["unnamed_usd"] == swapped["line_item_unblended_cost"].rstrip("0").rstrip(".")


def test_the_newest_delivery_of_a_month_in_parquet_from_a_bucket(
    traffic: Traffic, bill: list[Line], tmp_path: Path
) -> None:
    file = tmp_path / "new.parquet"
    write_parquet(file, bill)
    months = {line["line_item_usage_start_date"][:7] for line in bill}
    objects = {}
    for month in months:
        period = f"bills/exports/cur/data/BILLING_PERIOD={month}"
        objects[f"{period}/20261101T000000Z/cur-00001.csv.gz"] = as_csv(bill + bill)
        of_month = [one for one in bill if one["line_item_usage_start_date"].startswith(month)]
        write_parquet(file, of_month)
        objects[f"{period}/20261102T000000Z/cur-00001.snappy.parquet"] = file.read_bytes()
    objects["bills/exports/cur/data/BILLING_PERIOD=2020-01/x/cur-00001.csv.gz"] = b"another month"
    objects["bills/exports/cur/metadata/BILLING_PERIOD=2026-11/cur-Manifest.json"] = b"{}"
    with s3_server() as server:
        server.objects = objects
        done = tenantry(
            traffic.stack.home, "reconcile", "--bill", "s3://bills/exports", *FROM, *TO,
            environment=server.environment(),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{len(months)} files, {len(bill)} lines of usage" in done.stdout


def test_a_day_that_is_not_billed_yet_is_no_break(
    traffic: Traffic, bill: list[Line], tmp_path: Path
) -> None:
    early = other_lines("2026-11-02", ACCOUNTS["pool"])
    file = tmp_path / "early.csv.gz"
    file.write_bytes(as_csv(early))
    both = ("--bill", str(file), "--logs", str(traffic.log), "--log-delay-s", "0", *TO)
    status, of_both, _ = reconcile(traffic, *both)
    assert of_both["matched"] == CALLS, "bill and log can be asked at once"
    report = of_both["bill"]
    assert (status, report["break_count"], report["lines"]) == (0, 0, 0)
    assert report["not_yet_billed"] >= 4
    assert Decimal(report["not_yet_billed_usd"]) > 2
    assert held(traffic, tmp_path, bill, "--from", "2020-01-01")[0] == 0
