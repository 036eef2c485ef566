"""A report for reading in a terminal: walls, findings, what was not run, and what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tenantry.domain.audit import Outcome, Report, Result, Wall

_WIDTH = 96
_IDS_SHOWN = 3


def to_text(report: Report) -> str:
    return "\n".join(_lines(report)) + "\n"


def summary(report: Report) -> str:
    """One sentence."""
    counts = report.counts
    told = f"{len(report.results)} attacks: {counts[Outcome.HELD]} held"
    findings = len(report.findings)
    told += f", {findings} finding{'' if findings == 1 else 's'}"
    if counts[Outcome.NOT_RUN]:
        told += f", {counts[Outcome.NOT_RUN]} not run here"
    return told + "."


def not_run(results: Sequence[Result]) -> dict[str, list[str]]:
    """Ids of attacks by why they were not run."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.outcome is Outcome.NOT_RUN:
            reasons.setdefault(result.detail, []).append(result.id)
    return reasons


def _lines(report: Report) -> Iterator[str]:
    yield f"Isolation of {report.url}, Tenantry {report.version}"
    yield f"{report.started_at:%Y-%m-%d %H:%M:%S} to {report.ended_at:%H:%M:%S} UTC"
    yield ""
    yield from _walls(report.results)
    yield ""
    yield from _findings(report.findings)
    yield from _not_run(report.results)
    how = "put away, without a key that works" if report.is_cleaned else "NOT known to be put away"
    yield f"The audit's own tenants, {how}: {', '.join(report.canaries)}"
    yield ""
    yield summary(report)


def _walls(results: Sequence[Result]) -> Iterator[str]:
    width = max(len(wall) for wall in Wall)
    names = f"{'attacks':>7}  {'held':>5}  {'found':>5}  {'void':>4}  {'not run':>7}"
    yield f"{'Wall':<{width}}  {names}"
    for wall in Wall:
        counted = Counter(result.outcome for result in results if result.wall is wall)
        if counted:
            yield (
                f"{wall:<{width}}  {counted.total():>7}  {counted[Outcome.HELD]:>5}  "
                f"{_dash(counted[Outcome.FOUND]):>5}  {_dash(counted[Outcome.VOID]):>4}  "
                f"{_dash(counted[Outcome.NOT_RUN]):>7}"
            )


def _dash(count: int) -> str:
    return str(count) if count else "–"


def _findings(findings: Sequence[Result]) -> Iterator[str]:
    if not findings:
        yield "No finding: every attack that was made could have succeeded, and none did."
        yield ""
        return
    yield f"Findings: {len(findings)}"
    yield ""
    for result in findings:
        yield f"  {result.id}  ({'a wall did not hold' if _held_not(result) else 'void'})"
        yield from _wrapped(f"Promised: {result.sentence}", "    ")
        yield from _wrapped(f"{'Seen' if _held_not(result) else 'Why'}: {result.detail}.", "    ")
        if result.after:
            yield from _wrapped(f"Modelled on {result.after}.", "    ")
        yield ""


def _held_not(result: Result) -> bool:
    return result.outcome is Outcome.FOUND


def _not_run(results: Sequence[Result]) -> Iterator[str]:
    reasons = not_run(results)
    if not reasons:
        return
    yield "Not run here, and so not passed:"
    for reason, ids in reasons.items():
        shown = ", ".join(ids[:_IDS_SHOWN])
        more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
        yield from _wrapped(f"{reason}: {shown}{more}", "  ")
    yield ""


def _wrapped(text: str, indent: str) -> Iterator[str]:
    line = indent
    for word in text.split():
        if len(line) + len(word) + 1 > _WIDTH and line.strip():
            yield line.rstrip()
            line = indent + "  "
        line += word + " "
    yield line.rstrip()
