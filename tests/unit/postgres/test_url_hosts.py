"""The hosts of a URL, as the driver reads them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from asyncpg import connect_utils

from tenantry.adapters.postgres.dial import _only
from tenantry.adapters.postgres.one_primary import primary_of
from tenantry.adapters.postgres.url_hosts import hosts_of


def as_the_driver_has_them(**given: Any) -> list[Any]:
    read: Any = connect_utils._parse_connect_dsn_and_args
    nothing = dict.fromkeys(inspect.signature(read).parameters)
    addresses: list[Any] = read(**nothing | given)[0]
    return addresses


@pytest.mark.parametrize(
    ("where", "hosts"),
    [
        ("db/x", [("db", 5432)]),
        ("db:/x", [("db", 5432)]),
        ("db:%35433/x", [("db", 5433)]),
        ("db1:5433,db2/x", [("db1", 5433), ("db2", 5432)]),
        ("[::1]:5433,10.0.0.7/x", [("::1", 5433), ("10.0.0.7", 5432)]),
        ("/x?host=db1,db2&port=5433", [("db1", 5433), ("db2", 5433)]),
        ("/x?host=db1,db2&port=5433,5434", [("db1", 5433), ("db2", 5434)]),
        ("/x?host=db1:5433,db2", [("db1", 5433), ("db2", 5432)]),
        ("/x?host=db1:5433&port=5434", [("db1", 5434)]),
        ("/x?host=/run/a:b,db", [("/run/a:b", 5432), ("db", 5432)]),
        ("%2Frun%2Fpostgresql/x", [("/run/postgresql", 5432)]),
    ],
)
def test_hosts_are_told_apart_as_the_driver_does(
    where: str, hosts: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    dsn = f"postgresql://one:secret@{where}"
    assert hosts_of(dsn) == hosts
    addresses = [
        f"{name}/.s.PGSQL.{port}" if name.startswith("/") else (name, port) for name, port in hosts
    ]
    assert as_the_driver_has_them(dsn=dsn) == addresses
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PGPORT", "5499")
    assert as_the_driver_has_them(dsn=dsn, **_only(hosts)) == addresses


@pytest.mark.parametrize("where", ["/x", "/x?host=db1,db2,db3&port=5432,5433"])
def test_what_the_url_does_not_say_is_not_made_up(where: str) -> None:
    assert hosts_of(f"postgresql://one:secret@{where}") == []


@pytest.mark.parametrize("where", ["%2Frun%2Fpostgresql/x", "/x?host=/run/postgresql"])
def test_behind_a_socket_nothing_fails_over(where: str) -> None:
    assert primary_of(f"postgresql://one:secret@{where}") is None


def test_each_role_knows_the_same_server() -> None:
    one, *others = (
        primary_of(f"postgresql://{where}/x")
        for where in ("a:b@db1,db2:5432", "c:d@db1,db2:5432", "a:b@DB1,Db2:5432")
    )
    assert one is not None and all(each is one for each in others)
