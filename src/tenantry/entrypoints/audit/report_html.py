"""A report as one HTML file, for a security questionnaire: no script, no request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from tenantry.domain.audit import Outcome, Report, Result, Wall
from tenantry.entrypoints.audit.report_text import not_run, summary

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --paper: #fff;
  --held: #1a7f37; --found: #b42318; --void: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #30363d;
  --paper: #0d1117; --held: #3fb950; --found: #ff7b72; --void: #d29922; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", sans-serif }
main { max-width: 62rem; margin: 0 auto; padding: 3rem 1.5rem 5rem }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem; font-weight: 650 }
h2 { font-size: 1.15rem; margin: 2.75rem 0 .75rem; font-weight: 650 }
p { margin: .25rem 0 .75rem; max-width: 46rem }
.soft { color: var(--soft) }
.verdict { font-size: 1.25rem; margin: 1.5rem 0 0; padding: .9rem 1.1rem; border-left: 4px solid }
.verdict.good { border-color: var(--held) } .verdict.bad { border-color: var(--found) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top }
th { font-weight: 600; color: var(--soft); font-size: .875rem }
td.n, th.n { text-align: right }
code { font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere }
details { border-bottom: 1px solid var(--line) }
summary { cursor: pointer; padding: .55rem 0; font-weight: 600 }
summary span { font-weight: 400; color: var(--soft); float: right }
details table { font-size: .9rem; margin-bottom: 1rem } details td:first-child { width: 34% }
.held { color: var(--held) } .found { color: var(--found) } .void { color: var(--void) }
.not-run { color: var(--soft) }
.wide { overflow-x: auto }
@media (max-width: 34rem) { main { padding: 1.5rem 1rem 3rem }
  th, td { padding-right: .4rem; font-size: .8125rem } th.n, td.n { padding-right: .25rem } }
@media print { body { font-size: 10pt } main { max-width: none; padding: 0 }
  .wide { overflow: visible } thead { display: table-header-group }
  tr, summary { break-inside: avoid } h2, summary { break-after: avoid }
  details::details-content { content-visibility: visible; height: auto } }
"""
_CLASS = {
    Outcome.HELD: "held",
    Outcome.FOUND: "found",
    Outcome.VOID: "void",
    Outcome.NOT_RUN: "not-run",
}
_METHOD = (
    "Two fresh tenants were made for this audit, a third in a region that does not exist, each"
    " with API keys and documents of words that nobody else can know. Every route that the"
    " deployment describes was asked as one of them for what belongs to the other, and every reply"
    " of the whole audit was searched for the others' words and ids and for what the provider is"
    " paid."
)
_OUTCOMES = (
    "held: the attack was made and came to nothing, and the same request by whom it belongs to was"
    " served. found: a wall did not hold. void: the attack could not have succeeded, so it shows"
    " nothing; it counts as a finding. not run here: it needs what is out of the auditor's reach,"
    " and is not passed."
)


def to_html(report: Report) -> str:
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    good = not report.findings
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Isolation of {escape(report.url)}</title>"
    yield f"<style>{_STYLE}</style></head><body><main>"
    yield f"<h1>Isolation of {escape(report.url)}</h1>"
    span = f"{report.started_at:%Y-%m-%d %H:%M:%S} to {report.ended_at:%H:%M:%S} UTC"
    yield f'<p class="soft">Tenantry {escape(report.version)} · {span}</p>'
    verdict = "No finding. " if good else f"{len(report.findings)} to look at. "
    yield f'<p class="verdict {"good" if good else "bad"}">{verdict}{escape(summary(report))}</p>'
    yield f"<h2>What was done</h2><p>{escape(_METHOD)}</p>"
    yield f'<p class="soft">{escape(_OUTCOMES)}</p>'
    yield from _walls(report.results)
    if not good:
        yield from _findings(report.findings)
    yield from _not_run(report.results)
    yield "<h2>Every attack</h2>"
    for wall in Wall:
        yield from _of_wall(wall, [r for r in report.results if r.wall is wall])
    yield from _published(report.results)
    stays = "These tenants stay without a key that works, a document or a charge, because a ledger "
    stays += "is never deleted from"
    ids = ", ".join(f"<code>{escape(name)}</code>" for name in report.canaries)
    told = stays if report.is_cleaned else "These tenants are not known to be put away"
    yield f"<h2>What is left</h2><p>{told}: {ids}.</p>"
    yield "</main></body></html>"


def _walls(results: Sequence[Result]) -> Iterator[str]:
    yield '<h2>Walls</h2><div class="wide"><table><thead><tr><th>Wall</th>'
    for name in ("Attacks", "Held", "Found", "Void", "Not run"):
        yield f'<th class="n">{name}</th>'
    yield "</tr></thead><tbody>"
    for wall in Wall:
        counted = Counter(result.outcome for result in results if result.wall is wall)
        if counted:
            cells = "".join(_cell(counted[outcome], outcome) for outcome in Outcome)
            yield f'<tr><td>{_capital(wall)}</td><td class="n">{counted.total()}</td>{cells}</tr>'
    yield "</tbody></table></div>"


def _cell(count: int, outcome: Outcome) -> str:
    coloured = f" {_CLASS[outcome]}" if count and outcome is not Outcome.HELD else ""
    return f'<td class="n{coloured}">{count or "–"}</td>'


def _findings(findings: Sequence[Result]) -> Iterator[str]:
    yield '<h2>Findings</h2><div class="wide"><table><thead><tr><th>Attack</th>'
    yield "<th>What is promised</th><th>What was seen</th></tr></thead><tbody>"
    for result in findings:
        yield (
            f"<tr><td><code>{escape(result.id)}</code></td><td>{escape(result.sentence)}</td>"
            f'<td><span class="{_CLASS[result.outcome]}">{result.outcome}</span>: '
            f"{escape(result.detail)}</td></tr>"
        )
    yield "</tbody></table></div>"


def _not_run(results: Sequence[Result]) -> Iterator[str]:
    reasons = not_run(results)
    if not reasons:
        return
    yield '<h2>Not run here, and so not passed</h2><div class="wide"><table><thead><tr>'
    yield "<th>Why</th><th>Attacks</th></tr></thead><tbody>"
    for reason, ids in reasons.items():
        shown = ", ".join(f"<code>{escape(name)}</code>" for name in ids)
        yield f"<tr><td>{_capital(reason)}</td><td>{shown}</td></tr>"
    yield "</tbody></table></div>"


def _of_wall(wall: Wall, results: Sequence[Result]) -> Iterator[str]:
    if not results:
        return
    held = sum(result.outcome is Outcome.HELD for result in results)
    told = f"<span>{held} of {len(results)} held</span>"
    # Open: what is closed is not printed.
    yield f"<details open><summary>{_capital(wall)}{told}</summary>"
    yield '<div class="wide"><table><thead><tr><th>Attack</th><th>What is promised</th>'
    yield "<th>Outcome</th></tr></thead><tbody>"
    for result in results:
        detail = f'<br><span class="soft">{escape(result.detail)}</span>' if result.detail else ""
        yield (
            f"<tr><td><code>{escape(result.id)}</code></td>"
            f"<td>{escape(result.sentence)}{detail}</td>"
            f'<td class="{_CLASS[result.outcome]}">{result.outcome}</td></tr>'
        )
    yield "</tbody></table></div></details>"


def _published(results: Sequence[Result]) -> Iterator[str]:
    flaws = Counter(result.after for result in results if result.after)
    yield "<h2>Published flaws that attacks are modelled on</h2><table><thead><tr><th>Flaw</th>"
    yield '<th class="n">Attacks</th></tr></thead><tbody>'
    for flaw, count in sorted(flaws.items()):
        yield f'<tr><td>{escape(flaw)}</td><td class="n">{count}</td></tr>'
    yield "</tbody></table>"


def _capital(text: str) -> str:
    return escape(text[:1].upper() + text[1:])
