"""Pauses, addresses and URLs: the pure parts of delivery."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.backoff import (
    ATTEMPTS_MAX,
    FIRST_S,
    GIVE_UP_AFTER,
    JITTER,
    LONGEST_S,
    next_attempt,
)
from tenantry.domain.webhook import BadEndpoint, check_secret, is_public, secret_from, tenant_url

SINCE = datetime(2027, 1, 1, tzinfo=UTC)


@given(
    st.integers(1, ATTEMPTS_MAX + 5),
    st.floats(0, 1, exclude_max=True),
    st.timedeltas(timedelta(0), timedelta(days=4)),
)
def test_a_pause_is_within_its_bounds(attempts: int, chance: float, age: timedelta) -> None:
    now = SINCE + age
    again = next_attempt(attempts, SINCE, now, chance)
    if attempts >= ATTEMPTS_MAX or age >= GIVE_UP_AFTER:
        assert again is None
        return
    assert again is not None
    pause_s = (again - now).total_seconds()
    assert pause_s <= LONGEST_S
    assert again == SINCE + GIVE_UP_AFTER or pause_s >= FIRST_S * (1 - JITTER) - 1e-5


def test_three_days_hold_about_as_many_attempts_as_said() -> None:
    for chance, count in ((0.0, 30), (0.999, 34)):
        now, attempts = SINCE, 1
        while (again := next_attempt(attempts, SINCE, now, chance)) is not None:
            now, attempts = again, attempts + 1
        assert abs(attempts - count) <= 2, attempts
        assert now == SINCE + GIVE_UP_AFTER
        assert attempts < ATTEMPTS_MAX


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "5f00::1",
        "2001:db8::1",
        "2001:0:4136:e378::1",
        "192.0.0.8",
        "192.0.0.9",
        "192.88.99.1",
        "::ffff:192.88.99.1",
        "64:ff9b::192.0.0.8",
        "localhost",
    ],
)
def test_what_is_somebodys_own_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "2606:2800:21f::1", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example.com",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1",
        "https://localhost/",
        "https://a.example.com@10.0.0.1/",
        "https://user@a.example.com/",
        "https://a.example.com\\@b.example.com/",
        "https://ⓐ.example.com/",
        "https://a.example.com/ x",
        "https://a.example.com:99999/",
        "https://a.example.com:0/",
        "https://a.example.com/#x",
        "https://a.example.com/" + "x" * 2_048,
        "https://-a.example.com",
        "https://",
        "",
    ],
)
def test_a_tenants_url_that_is_refused(url: str) -> None:
    with pytest.raises(BadEndpoint):
        tenant_url(url)


def test_a_tenants_url() -> None:
    assert tenant_url("https://Hooks.Example.com/a?b=c") == ("hooks.example.com", 443)
    assert tenant_url("https://a.example.com:8443") == ("a.example.com", 8443)


def test_a_secret_that_is_made_is_one() -> None:
    check_secret(secret_from(bytes(range(32))))
