"""What a vector engine needs, and that a wrong setting is told without its secret."""

from __future__ import annotations

import importlib.util
from typing import get_args, get_type_hints

import pytest

from tenantry.bootstrap.checks.vectors import (
    configured_engines,
    rooms_fact,
    rooms_problems,
    vectors_fact,
    vectors_problems,
)
from tenantry.config import Settings
from tenantry.domain.extras import extra_of

ENGINES = get_args(get_type_hints(Settings)["vectors"])
GOOD = {
    "opensearch_url": "https://user:hidden@search.example.com:9200",
    "pinecone_host": "https://passages-hidden.svc.pinecone.io",
    "pinecone_api_key": "pcsk_hidden",
    "weaviate_url": "https://weaviate.example.com",
    "weaviate_grpc_url": "https://grpc.example.com:443",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_its_needs_and_says_what_lies_in_clear(engine: str) -> None:
    config = Settings(vectors=engine, **GOOD)
    assert vectors_problems(config) == []
    assert ("in clear" in vectors_fact(config)) == (engine != "sealed")
    assert (vectors_problems(Settings(vectors=engine)) == []) == (engine in ("sealed", "pgvector"))


@pytest.mark.parametrize(
    "url",
    [
        "search.example.com:9200",
        "ftp://hidden",
        "https://",
        "https://[hidden",
        "https://user:hidden@host:port",
        "http://user:hidden@search.example.com",
        "https://user:hidden@search.example.com:0",
    ],
)
def test_a_wrong_address_is_told_without_its_secret(url: str) -> None:
    (problem,) = vectors_problems(Settings(vectors="opensearch", **{**GOOD, "opensearch_url": url}))
    assert problem.startswith("TENANTRY_OPENSEARCH_URL must be https://")
    assert "hidden" not in problem


def test_the_loopback_needs_no_tls() -> None:
    config = Settings(vectors="opensearch", opensearch_url="http://u:p@127.0.0.1:9200")
    assert vectors_problems(config) == []


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (problem,) = vectors_problems(Settings(vectors="opensearch", **GOOD))
    assert problem == f"TENANTRY_VECTORS=opensearch needs {extra_of('opensearch')}"


def test_an_engine_of_before_is_named_where_it_is_not_configured() -> None:
    """Whatever the settings search in: rows that are there have to be deleted there."""
    lie = {"pgvector": 2, "weaviate": 1}
    assert configured_engines(Settings()) == ["pgvector"]
    (problem,) = rooms_problems(Settings(), lie)
    assert problem.startswith("vectors of 1 tenants rest in weaviate, which is not configured here")
    assert set(configured_engines(Settings(**GOOD))) == set(ENGINES) - {"sealed"}
    assert rooms_problems(Settings(vectors="opensearch", **GOOD), lie) == []
    assert rooms_fact(lie) == "pgvector (2 tenants), weaviate (1 tenants)"
    assert rooms_fact({}) == "nowhere"
