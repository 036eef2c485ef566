"""A report in its forms, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tenantry.domain.audit import AuditError, Outcome, Report, Result, Wall, report_from
from tenantry.entrypoints.audit.report_html import to_html
from tenantry.entrypoints.audit.report_text import summary, to_text

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HELD = Result("key.cut", Wall.CREDENTIALS, "A cut key opens nothing.", Outcome.HELD)
FOUND = Result(
    "rows.table-document", Wall.ROWS, "No row.", Outcome.FOUND, "it shows <b>rows</b>", "a flaw"
)
VOID = Result("seal.segment-cut", Wall.SEALS, "It does not open.", Outcome.VOID, "it was open")
ELSEWHERE = Result("rows.no-tenant", Wall.ROWS, "None.", Outcome.NOT_RUN, "no database here")


def report(*results: Result) -> Report:
    return Report(AT, AT, "0.1.0", "http://127.0.0.1:8080", ["tnt_a", "tnt_b"], results)


def test_it_is_told_and_read_again() -> None:
    told = report(HELD, FOUND, VOID, ELSEWHERE).to_json()
    assert [row["id"] for row in told["findings"]] == ["rows.table-document", "seal.segment-cut"]
    assert told["attacks"][0] == {
        "id": "key.cut",
        "wall": "credentials",
        "outcome": "held",
        "sentence": "A cut key opens nothing.",
    }
    assert told["counts"] == {"held": 1, "found": 1, "void": 1, "not run here": 1}
    assert report_from(told).to_json() == told


@pytest.mark.parametrize(
    "change",
    [
        {"attacks": []},
        {"attacks": "all"},
        {"attacks": [HELD.to_json(), HELD.to_json()]},
        {"attacks": [{**HELD.to_json(), "id": "Key Cut"}]},
        {"attacks": [{**HELD.to_json(), "wall": "moat"}]},
        {"attacks": [{**HELD.to_json(), "outcome": "passed"}]},
        {"attacks": [{**HELD.to_json(), "sentence": ""}]},
        {"attacks": [{**HELD.to_json(), "detail": 1}]},
        {"canaries": None},
        {"url": "x" * 3_000},
        {"ended_at": "2026-11-29T12:00:00"},
        {"started_at": "soon"},
    ],
)
def test_what_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AuditError):
        report_from({**report(HELD).to_json(), **change})


def test_what_was_not_run_is_never_passed() -> None:
    told = report(HELD, ELSEWHERE)
    assert told.findings == []
    assert summary(told) == "2 attacks: 1 held, 0 findings, 1 not run here."
    assert "Not run here, and so not passed:\n  no database here: rows.no-tenant" in to_text(told)


def test_canaries_that_were_put_away_are_not_said_to_be_left_behind() -> None:
    cleaned = Result("cleaning.tenants", Wall.CLEANING, "Away.", Outcome.HELD)
    away = "The audit's own tenants, put away, without a key that works: tnt_a, tnt_b\n"
    assert away in to_text(report(HELD, cleaned))
    assert "Left behind" not in to_text(report(HELD, cleaned))


def test_findings_stand_first_and_say_what_was_seen() -> None:
    text = to_text(report(HELD, FOUND, VOID))
    assert "Findings: 2" in text
    assert "Seen: it shows <b>rows</b>." in text
    assert "Why: it was open." in text
    assert "No finding" not in text
    assert text.endswith("3 attacks: 1 held, 2 findings.\n")


def test_the_page_shows_no_markup_of_others() -> None:
    html = to_html(report(HELD, FOUND, VOID))
    assert "<b>rows</b>" not in html
    assert "it shows &lt;b&gt;rows&lt;/b&gt;" in html
    assert "2 to look at." in html


def test_the_page_shows_all_on_paper_and_what_was_not_run_before_all_else() -> None:
    html = to_html(report(HELD, VOID, ELSEWHERE))
    assert html.count("<details open>") == html.count("<details") == 3
    assert html.count("<thead>") == html.count("<table>")  # a head on each sheet of paper
    missing, every = html.index("Not run here, and so not passed"), html.index("Every attack")
    assert missing < html.index("No database here", missing) < every
    assert missing < html.index("<code>rows.no-tenant</code>", missing) < every
    assert "Not run here, and so" not in to_html(report(HELD))


def test_wide_tables_of_the_page_move_in_a_box_of_their_own() -> None:
    html = to_html(report(HELD, FOUND, VOID, ELSEWHERE))
    for heading in ("<h2>Walls</h2>", "<h2>Findings</h2>", "passed</h2>", "</summary>"):
        rest = html[html.index(heading) + len(heading) :].lstrip()
        assert rest.startswith('<div class="wide"><table>')
    assert html.count("<div") == html.count("</div>")
