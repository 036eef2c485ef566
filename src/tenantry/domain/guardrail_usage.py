"""What a guardrail says that it used: units by policy, read from traces and answers.

Owns: where Bedrock puts `usage` of a guardrail, and which of its members are billed.
Does not own: prices, and the tokens of the model beside it.
Invariants: as `normalise`: no input raises, nothing is repaired, and a call that had a guardrail
and reports no units is `Quarantined`, never free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tenantry.domain.normalise import Reading
from tenantry.domain.usage import NO_USAGE, TokenClass, Usage
from tenantry.domain.usage_figures import (
    RAW_BYTES_MAX,
    Normalised,
    NotUsable,
    Quarantined,
    count,
    numeric_members,
)

NATIVE_TRACE: Final = "amazon-bedrock-trace"  # InvokeModel's member beside the native body
# The members that are billed. Word filters and `…FreeUnits` (regular expressions) cost nothing.
_CLASSES: Final[Mapping[str, TokenClass]] = {
    "topicPolicyUnits": TokenClass.GUARDRAIL_TOPIC,
    "contentPolicyUnits": TokenClass.GUARDRAIL_CONTENT,
    "contentPolicyImageUnits": TokenClass.GUARDRAIL_IMAGE,
    "sensitiveInformationPolicyUnits": TokenClass.GUARDRAIL_PII,
    "contextualGroundingPolicyUnits": TokenClass.GUARDRAIL_GROUNDING,
    "automatedReasoningPolicyUnits": TokenClass.GUARDRAIL_REASONING,
}
_REPORTED: Final = frozenset({*_CLASSES, "wordPolicyUnits", "sensitiveInformationPolicyFreeUnits"})
_ASSESSMENTS_MAX: Final = 10_000  # of one answer: 10 million characters


def from_guardrail(usage: object) -> Reading:
    """One `usage` of a guardrail, as ApplyGuardrail answers it."""
    raw = numeric_members(usage)
    if not isinstance(usage, Mapping) or not usage.keys() & _REPORTED:
        return Quarantined("guardrail usage is missing", raw)
    try:
        units = {token_class.value: count(usage, n, default=0) for n, token_class in _BILLED}
    except NotUsable as error:
        return Quarantined(f"guardrail: {error}", raw)
    return Normalised(Usage(**units), raw)


def with_guardrail(reading: Reading, usages: Sequence[object]) -> Reading:
    """The reading of a model's usage with the units of the guardrail around it.

    `usages` are those that the answer's trace holds, one an assessment. Where any is missing or
    not to be trusted, nothing of the call is.
    """
    if isinstance(reading, Quarantined):
        return reading
    if not usages or len(usages) > _ASSESSMENTS_MAX:
        return Quarantined("guardrail usage is missing", reading.raw)
    units = NO_USAGE
    for usage in usages:
        one = from_guardrail(usage)
        if isinstance(one, Quarantined):
            return Quarantined(one.reason, reading.raw)
        units = units + one.usage
    return replace(reading, usage=reading.usage + units, raw=_kept(reading.raw, units))


def _kept(raw: Mapping[str, int | str], units: Usage) -> Mapping[str, int | str]:
    """The raw members with the units' sums, where both are still short enough to be kept."""
    sums = {f"guardrail.{name}": n for name, c in _BILLED if (n := units.count(c))}
    size = sum(len(name.encode()) + len(str(value)) + 8 for name, value in {**raw, **sums}.items())
    return {**raw, **sums} if size <= RAW_BYTES_MAX else raw


def usages_in_converse(trace: object) -> list[object]:
    """Every `usage` in the `trace` of a Converse answer or of a stream's `metadata`."""
    guardrail = trace.get("guardrail") if isinstance(trace, Mapping) else None
    if not isinstance(guardrail, Mapping):
        return []
    return list(_usages([guardrail.get("inputAssessment"), guardrail.get("outputAssessments")]))


def usages_in_native(document: object) -> list[object]:
    """Every `usage` in the trace that InvokeModel adds to a native body, or to a chunk of one."""
    trace = document.get(NATIVE_TRACE) if isinstance(document, Mapping) else None
    guardrail = trace.get("guardrail") if isinstance(trace, Mapping) else None
    if not isinstance(guardrail, Mapping):
        return []
    return list(_usages([guardrail.get("input"), guardrail.get("outputs")]))


def _usages(parts: Sequence[object]) -> Iterator[object]:
    """Assessments stand by guardrail id, alone (input) or in lists (output)."""
    for part in parts:
        if isinstance(part, list):
            yield from _usages(part)
        elif isinstance(part, Mapping):
            for assessment in part.values():
                yield from _of_assessments(assessment)


def _of_assessments(found: object) -> Iterator[object]:
    for assessment in found if isinstance(found, list) else [found]:
        metrics = assessment.get("invocationMetrics") if isinstance(assessment, Mapping) else None
        yield metrics.get("usage") if isinstance(metrics, Mapping) else None


_BILLED: Final = tuple(_CLASSES.items())
