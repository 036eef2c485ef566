"""The hosts of a URL, as the driver reads them."""

from __future__ import annotations

import pytest

from tenantry.adapters.postgres.one_primary import hosts_of, primary_of


@pytest.mark.parametrize(
    ("where", "hosts"),
    [
        ("db/x", [("db", 5432)]),
        ("db1:5433,db2/x", [("db1", 5433), ("db2", 5432)]),
        ("[::1]:5433,10.0.0.7/x", [("::1", 5433), ("10.0.0.7", 5432)]),
        ("/x?host=db1,db2&port=5433", [("db1", 5433), ("db2", 5433)]),
        ("/x?host=db1,db2&port=5433,5434", [("db1", 5433), ("db2", 5434)]),
        ("/x?host=db1:5433,db2", [("db1", 5433), ("db2", 5432)]),
        ("%2Frun%2Fpostgresql/x", [("/run/postgresql", 5432)]),
        ("/x", []),
    ],
)
def test_hosts_are_told_apart(where: str, hosts: list[tuple[str, int]]) -> None:
    assert hosts_of(f"postgresql://one:secret@{where}") == hosts


@pytest.mark.parametrize("where", ["%2Frun%2Fpostgresql/x", "/x?host=/run/postgresql", "/x"])
def test_behind_a_socket_nothing_fails_over(where: str) -> None:
    assert primary_of(f"postgresql://one:secret@{where}") is None


def test_each_role_knows_the_same_server() -> None:
    one, other = (primary_of(f"postgresql://{who}@db1,db2:5432/x") for who in ("a:b", "c:d"))
    assert one is not None and one is other
