"""`tenantry alerts replay` on anyone's file."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tenantry.domain.anomaly import instant_of
from tenantry.entrypoints.cli.alerts import alerts

START = 490_896  # 2026-01-01T00:00Z
HEAD = "tenant,hour_utc,tokens,requests,charge"
SPIKE = 1000


def rows(tenant: str, spike: int | None = None) -> list[str]:
    return [
        f"{tenant},{instant_of(START + at):%Y-%m-%dT%H:%M:%SZ},{used},{used // 1000},{used}e-5"
        for at in range(1200)
        for used in [1000 * (50 + at * 7 % 11) * (12 if at == spike else 1)]
    ]


def replay(folder: Path, lines: list[str], *options: str) -> Result:
    file = folder / "hours.csv"
    file.write_text("\n".join(lines), "utf-8")
    return CliRunner().invoke(alerts, ["replay", str(file), *options])


def told(folder: Path, lines: list[str], *options: str) -> list[dict[str, object]]:
    result = replay(folder, lines, "--json", *options)
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.output)["alerts"]
    return found


def test_it_names_tenant_hour_kind_and_excess(tmp_path: Path) -> None:
    found = told(tmp_path, [HEAD, *rows("calm"), *rows("wild", SPIKE)])
    (alert,) = found
    excess = alert.pop("excess")
    assert alert == {"tenant": "wild", "hour_utc": "2026-02-11T16:00:00Z", "kind": "spike"}
    assert isinstance(excess, int)
    assert excess > 400_000


def test_the_order_of_rows_and_columns_does_not_matter(tmp_path: Path) -> None:
    lines = [*rows("calm"), *rows("wild", SPIKE)]
    straight = told(tmp_path, [HEAD, *lines])
    random.Random(1).shuffle(lines)
    turned = [",".join([*line.split(",")[::-1], "more"]) for line in lines]
    head = ",".join([*HEAD.split(",")[::-1], "note"])
    assert told(tmp_path, [head, *turned]) == straight != []


def test_a_person_gets_a_table(tmp_path: Path) -> None:
    result = replay(tmp_path, [HEAD, *rows("wild", SPIKE)])
    assert result.output.split()[:4] == ["tenant", "hour_utc", "kind", "excess"]
    assert "2026-02-11T16:00:00Z" in result.output


def test_nothing_unusual_is_an_empty_list(tmp_path: Path) -> None:
    assert told(tmp_path, [HEAD]) == told(tmp_path, [HEAD, *rows("calm")]) == []


def test_what_was_planned_or_is_worth_little_is_not_told(tmp_path: Path) -> None:
    lines = [HEAD, *rows("wild", SPIKE)]
    day = ("2026-02-11T00:00Z", "2026-02-12T00:00Z")
    assert told(tmp_path, lines, "--planned", "wild", *day) == []
    assert told(tmp_path, lines, "--planned", "calm", *day) != []
    assert told(tmp_path, lines, "--floor-charge", "100") == []
    assert told(tmp_path, lines, "--floor-tokens", "900000") == []


GOOD = "a,2026-01-01T00:00:00Z,1,1,0.1"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: the first row names these columns"),
        (["tenant,hour_utc,tokens,requests"], "line 1: the first row names these columns"),
        ([HEAD, GOOD, "a,b"], "line 3: 2 cells"),
        ([HEAD, ",2026-01-01T00:00:00Z,1,1,0"], "line 2: a tenant's name"),
        ([HEAD, "a,yesterday,1,1,0"], "line 2: 'yesterday' is not an hour"),
        ([HEAD, "a,2026-01-01T00:30:00Z,1,1,0"], "line 2: '2026-01-01T00:30:00Z' is not the start"),
        ([HEAD, "a,2026-01-01T00:00:00Z,1.5,1,0"], "line 2: tokens '1.5'"),
        ([HEAD, "a,2026-01-01T00:00:00Z,-1,1,0"], "line 2: tokens '-1'"),
        ([HEAD, f"a,2026-01-01T00:00:00Z,1,{'9' * 16},0"], "line 2: requests '9999"),
        ([HEAD, "a,2026-01-01T00:00:00Z,1,1,NaN"], "line 2: charge 'NaN'"),
        ([HEAD, "a,2026-01-01T00:00:00Z,1,1,-1"], "line 2: charge '-1'"),
        ([HEAD, "a,2026-01-01T00:00:00Z,1,1,1e-99"], "more than 30 decimals"),
        ([HEAD, "a,2026-01-01T00:00:00Z,1,1,1e99"], "line 2: charge '1e99'"),
        ([HEAD, GOOD, "b" + GOOD[1:], GOOD], "tenant a: 2026-01-01T00:00:00Z is there twice"),
        ([HEAD, GOOD, "a,1926-01-01T00:00:00Z,1,1,0"], "hours from first to last"),
        ([HEAD, '"a'], "unexpected end of data"),
        ([HEAD, "x" * 5_000], "a line of more than 2000 characters"),
    ],
)
def test_a_bad_row_is_one_clear_line(tmp_path: Path, lines: list[str], message: str) -> None:
    result = replay(tmp_path, lines, "--json")
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.splitlines()) == 1


def test_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "hours.csv"
    file.write_bytes(b"tenant\xff")
    result = CliRunner().invoke(alerts, ["replay", str(file)])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "UTF-8" in result.output


@pytest.mark.parametrize(
    "options", [["--floor-charge", "x"], ["--floor-charge", "NaN"], ["--planned", "a", "b", "c"]]
)
def test_a_wrong_option_is_wrong_usage(tmp_path: Path, options: list[str]) -> None:
    assert replay(tmp_path, [HEAD], *options).exit_code == 2
