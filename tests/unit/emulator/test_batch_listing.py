"""Which batch jobs a list holds, in which order, and how it goes on."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from bedrock_emulator.batch_jobs import Job, WantedJob
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.wire.batch_listing import JobPage


def job(number: int, name: str, status: str) -> Job:
    at = f"2026-11-2{number}T00:00:00.000Z"
    wanted = WantedJob(name, "role", "m", "Converse", "s3://b/i", "s3://b/o", 24, {}, None)
    return Job(f"id{number}", f"arn{number}", "1", "us-east-1", wanted, "me", status, at, at)


JOBS = [
    job(2, "nightly-b", "Completed"),
    job(4, "other", "Failed"),
    job(1, "nightly-a", "Completed"),
    job(3, "nightly-c", "Submitted"),
]


def listed(**query: Any) -> list[str]:
    """The jobs' numbers, over all pages."""
    numbers = ""
    for _ in range(9):
        answer = JobPage(urlencode(query)).answer(JOBS)
        page = answer["invocationJobSummaries"]
        assert len(page) <= query.get("maxResults", 1_000)
        numbers += "".join(one["jobArn"].removeprefix("arn") for one in page)
        if "nextToken" not in answer:
            return numbers
        query["nextToken"] = answer["nextToken"]
    raise AssertionError("the list does not end")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, "4321"),
        ({"sortBy": "CreationTime", "sortOrder": "Descending"}, "4321"),
        ({"sortOrder": "Ascending"}, "1234"),
        ({"statusEquals": "Completed"}, "21"),
        ({"statusEquals": "Validating"}, ""),
        ({"nameContains": "nightly"}, "321"),
        ({"nameContains": "nightly-b"}, "2"),
        ({"submitTimeAfter": "2026-11-22T00:00:00Z"}, "43"),
        ({"submitTimeAfter": "2026-11-21T12:00:00", "sortOrder": "Ascending"}, "234"),
        ({"submitTimeBefore": "2026-11-23T01:00:00+01:00"}, "21"),
        ({"submitTimeAfter": "2026-11-21T00:00:00Z", "statusEquals": "Completed"}, "2"),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 2, 4])
def test_every_member_of_the_query(query, numbers, size) -> None:
    assert listed(**query, **({} if size is None else {"maxResults": size})) == numbers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maxResults", "0"),
        ("maxResults", "1001"),
        ("maxResults", "x"),
        ("nextToken", "%"),
        ("nextToken", ""),
        ("statusEquals", "completed"),
        ("sortBy", "Name"),
        ("sortOrder", ""),
        ("nameContains", ""),
        ("nameContains", "a b"),
        ("submitTimeAfter", "yesterday"),
        ("submitTimeBefore", ""),
    ],
)
def test_a_member_that_cannot_be_is_refused(name, value) -> None:
    with pytest.raises(EmulatedError, match=f"'{name}'") as refused:
        JobPage(urlencode({name: value}))
    assert (refused.value.name, refused.value.status) == ("ValidationException", 400)
