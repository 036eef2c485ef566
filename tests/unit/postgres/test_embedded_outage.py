"""An outage is named as what it is, also of an embedded server that is being started again, and is
never told of without a reason."""

import asyncpg
import pytest

from tenantry.adapters.postgres.errors import ClusterNotRunning, LoginRefused, NotDurable
from tenantry.adapters.postgres.outages import outages_are_unavailable, why
from tenantry.bootstrap.failures import told
from tenantry.domain.errors import Unavailable


def test_a_server_between_its_death_and_its_next_start_is_out_of_reach() -> None:
    with pytest.raises(Unavailable), outages_are_unavailable():
        raise ClusterNotRunning


def test_a_server_that_must_not_be_used_is_no_outage() -> None:
    with pytest.raises(NotDurable), outages_are_unavailable():
        raise NotDurable


FULL = 'could not extend file "base/1": No space left on device'


def _outage(reason: Exception) -> Unavailable:
    with pytest.raises(Unavailable) as refused, outages_are_unavailable():
        raise reason
    return refused.value


def test_a_full_disk_is_named() -> None:
    outage = _outage(asyncpg.DiskFullError(FULL))
    assert outage.message == "The database's disk is full."
    assert told(outage) == f"The database's disk is full: {FULL}"
    many = _outage(asyncpg.TooManyConnectionsError("sorry, too many clients already"))
    assert many.message == "The database has no connection left for us."


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "ConnectionResetError"),
        (
            asyncpg.InternalClientError(
                "cannot switch to state 12; another operation (2) is in progress"
            ),
            "the connection was cut",
        ),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
    ],
)
def test_a_reason_without_words_is_given_some(reason: Exception, words: str) -> None:
    assert told(_outage(reason)) == f"The database is out of reach: {words}"


def test_passwords_are_spoken_of_where_a_login_was_refused_alone() -> None:
    words = 'too many connections for role "tenantry_app"'
    many = _outage(asyncpg.TooManyConnectionsError(words))
    assert told(many) == f"The database has no connection left for us: {words}"
    refused = Unavailable("The database refuses our login.")
    refused.__cause__ = LoginRefused('password authentication failed for user "tenantry_app"')
    assert "control/database-secret" in str(told(refused))


def test_the_reason_is_what_lies_under_every_refusal() -> None:
    ledger = Unavailable("The ledger is out of reach.")
    ledger.__cause__ = _outage(asyncpg.DiskFullError(FULL))
    assert why(ledger) == FULL
    assert why(Unavailable("Too much waits.")) == "Too much waits."
