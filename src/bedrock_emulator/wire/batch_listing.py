"""Reads what a ListModelInvocationJobs asks for, as Bedrock checks it, and answers a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from bedrock_emulator.batch_jobs import Job
from bedrock_emulator.wire.profile_requests import PAGE_MAX, cursor, invalid, page_size, token_for

# Members, sets and lengths: the service model of `bedrock` in botocore 1.44.5.
STATUSES = (
    *("Submitted", "InProgress", "Completed", "Failed", "Stopping", "Stopped"),
    *("PartiallyCompleted", "Expired", "Validating", "Scheduled"),
)
_ORDERS = ("Ascending", "Descending")
_SORTED_BY = ("CreationTime",)
_NAME_PART = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]{0,62}")


class JobPage:
    """Which jobs, in which order and how many; raises ValidationException."""

    def __init__(self, raw_query: str) -> None:
        given = parse_qs(raw_query, keep_blank_values=True)
        query = {name: values[-1] for name, values in given.items()}
        self._size = page_size(query, PAGE_MAX)
        self._after = cursor(query.get("nextToken"))
        self._status = _one_of(query, "statusEquals", STATUSES)
        self._descends = _one_of(query, "sortOrder", _ORDERS) != "Ascending"
        _one_of(query, "sortBy", _SORTED_BY)
        self._name = query.get("nameContains", "")
        if "nameContains" in query and not _NAME_PART.fullmatch(self._name):
            raise invalid("nameContains", "Member must be a part of a job's name")
        self._from = _instant(query, "submitTimeAfter")
        self._before = _instant(query, "submitTimeBefore")

    def answer(self, jobs: Iterable[Job]) -> dict[str, Any]:
        """The page of an account's jobs, with the token of the next where there is one."""
        named = {_place(job): job for job in jobs if self._wants(job)}
        places = sorted(named, reverse=self._descends)
        if self._after:
            places = [p for p in places if (p < self._after) == self._descends and p != self._after]
        shown = places[: self._size]
        answer: dict[str, Any] = {
            "invocationJobSummaries": [named[place].to_document() for place in shown]
        }
        if len(places) > len(shown):
            answer["nextToken"] = token_for(shown[-1])
        return answer

    def _wants(self, job: Job) -> bool:
        submitted = datetime.fromisoformat(job.submitted_at)
        return (
            self._status in (None, job.status)
            and self._name in job.wanted.name
            and (self._from is None or submitted > self._from)
            and (self._before is None or submitted < self._before)
        )


def _place(job: Job) -> str:
    """Where a job stands among the others; instants are all of one length."""
    return f"{job.submitted_at} {job.id}"


def _one_of(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = query.get(name)
    if value is not None and value not in allowed:
        raise invalid(name, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    return value


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        instant = datetime.fromisoformat(query[name])
    except ValueError as error:
        raise invalid(name, "Member must be a timestamp") from error
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
