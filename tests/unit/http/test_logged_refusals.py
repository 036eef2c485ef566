"""What the log holds of a refused request: what the system said, kinds and places, no word that
could be a tenant's."""

import asyncpg
import pytest

from tenantry.domain.errors import BadRequest, Unavailable
from tenantry.entrypoints.http.app import _where

FULL = 'could not extend file "base/1": No space left on device'


def _refusal(reason: Exception, refusal: Exception) -> Exception:
    try:
        try:
            raise reason
        except Exception as met:
            raise refusal from met
    except Exception as refused:
        return refused


def test_a_refusal_names_its_cause_and_its_place() -> None:
    said = _where(_refusal(TimeoutError("said of a tenant"), Unavailable("The disk is away.")))
    assert said.startswith("The disk is away; Unavailable by TimeoutError at ")
    assert __file__ in said
    assert "said of" not in said


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
    for refused, told in (
        (_refusal(reason, Unavailable("No.")), f"No; {words}; Unavailable by {kind} at "),
        (_refusal(outage, Unavailable("No.")), f"No; {words}; Unavailable by Unavailable at "),
        (_refusal(reason, KeyError("of a tenant")), f"{words}; KeyError by {kind} at "),
    ):
        said = _where(refused)
        assert said.startswith(told)
        assert "tenant" not in said.replace(__file__, "").replace("tenantry", "")


@pytest.mark.parametrize(
    "reason", [asyncpg.DataError("said of a tenant"), BadRequest("said of a tenant")]
)
def test_what_may_be_a_tenants_is_not_told(reason: Exception) -> None:
    assert "said of" not in _where(reason)
    assert "said of" not in _where(_refusal(reason, Unavailable("No.")))


def test_what_has_no_cause_names_none() -> None:
    assert _where(KeyError("x")).startswith("KeyError at ")
