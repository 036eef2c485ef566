"""An embedded server that is being started again is an outage like any other."""

import pytest

from tenantry.adapters.postgres.errors import ClusterNotRunning, NotDurable
from tenantry.adapters.postgres.outages import outages_are_unavailable
from tenantry.domain.errors import Unavailable


def test_a_server_between_its_death_and_its_next_start_is_out_of_reach() -> None:
    with pytest.raises(Unavailable), outages_are_unavailable():
        raise ClusterNotRunning


def test_a_server_that_must_not_be_used_is_no_outage() -> None:
    with pytest.raises(NotDurable), outages_are_unavailable():
        raise NotDurable
