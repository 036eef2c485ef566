"""What the log holds of a refused request: what the system said, kinds and places, no word that
could be a tenant's."""

import asyncio

import asyncpg
import pytest

from tenantry.domain.errors import BadRequest, Unavailable
from tenantry.entrypoints.http.log_words import reason_of, where_of

FULL = 'could not extend file "base/1": No space left on device'


def _refusal(reason: Exception, refusal: Exception) -> Exception:
    try:
        try:
            raise reason
        except Exception as met:
            raise refusal from met
    except Exception as refused:
        return refused


def test_an_outage_names_its_cause_and_no_place() -> None:
    """Beside its words, by which lines fold: one outage has many reasons, met at many places."""
    outage = Unavailable("The disk is away.")
    assert reason_of(outage) == ""
    late = TimeoutError("said of a tenant")
    assert reason_of(_caused(late, outage)) == "no answer in time"
    late.__cause__ = asyncio.CancelledError("as asyncio makes it")
    assert reason_of(_caused(late, outage)) == "no answer in time"
    assert reason_of(_caused(Unavailable("It takes no writes."), outage)) == "It takes no writes"
    cut = asyncpg.InternalClientError("cannot switch to state 12")
    assert reason_of(_caused(cut, outage)) == "the connection was cut"


def test_a_fault_names_its_cause_and_its_place() -> None:
    said = where_of(_refusal(TimeoutError("said of a tenant"), KeyError("said of")))
    assert said.startswith("no answer in time; KeyError by TimeoutError at ")
    assert __file__ in said
    assert "said of" not in said


def _caused(reason: BaseException, outage: Unavailable) -> Unavailable:
    outage.__cause__ = reason
    return outage


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (OSError(28, "No space left on device", "of a tenant"), "No space left on device"),
        (asyncpg.DiskFullError(f"{FULL}\nof a tenant"), FULL),
    ],
)
def test_what_the_system_said_is_told_under_all_that_was_made_of_it(
    reason: Exception, words: str
) -> None:
    outage = Unavailable("The database is out of reach.")
    outage.__cause__ = reason
    kind = type(reason).__name__
    assert reason_of(_caused(reason, Unavailable("No."))) == words
    assert reason_of(_caused(outage, Unavailable("No."))) == words
    said = where_of(_refusal(reason, KeyError("of a tenant")))
    assert said.startswith(f"{words}; KeyError by {kind} at ")
    assert "tenant" not in said.replace(__file__, "").replace("tenantry", "")


@pytest.mark.parametrize(
    "reason", [asyncpg.DataError("said of a tenant"), BadRequest("said of a tenant")]
)
def test_what_may_be_a_tenants_is_not_told(reason: Exception) -> None:
    assert "said of" not in where_of(reason)
    assert "said of" not in reason_of(_caused(reason, Unavailable("No.")))


def test_what_has_no_cause_names_none() -> None:
    assert where_of(KeyError("x")).startswith("KeyError at ")
