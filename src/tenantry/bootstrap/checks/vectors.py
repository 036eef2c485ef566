"""What is said of the vector engine that the settings name, and what is wrong with them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Literal, get_args
from urllib.parse import urlsplit

from tenantry.config import Settings, variable_of
from tenantry.domain.extras import extra_of

EngineName = Literal["pgvector", "opensearch", "pinecone", "weaviate"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
IN_CLEAR = "embeddings lie there in clear, and text can be recovered from them"

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Of each engine: the settings it cannot do without, and the module of its client.
_NEEDS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "sealed": ((), None),
    "pgvector": ((), None),
    "opensearch": (("opensearch_url",), "opensearchpy"),
    "pinecone": (("pinecone_host", "pinecone_api_key"), "pinecone"),
    "weaviate": (("weaviate_url", "weaviate_grpc_url"), "weaviate"),
}


def configured_engines(config: Settings) -> list[EngineName]:
    """Those that could be reached, whichever is searched: where documents may rest from before.

    pgvector needs no setting of its own: it is then Tenantry's own database.
    """
    return [name for name in ENGINES if not _problems(config, name)]


def rooms_problems(config: Settings, open_engines: Mapping[str, int]) -> list[str]:
    """One line for each engine that holds vectors, and could not be told to delete them."""
    return [
        f"vectors of {count} tenants rest in {engine}, which is not configured here: set its"
        f" settings, or `tenantry engines gone {engine}`"
        for engine, count in open_engines.items()
        if engine not in configured_engines(config)
    ]


def rooms_fact(open_engines: Mapping[str, int]) -> str:
    """What `doctor` says of where vectors lie in clear, whatever the settings say now."""
    told = [f"{engine} ({count} tenants)" for engine, count in open_engines.items()]
    return ", ".join(told) if told else "nowhere"


def vectors_problems(config: Settings) -> list[str]:
    """One line for each setting that the engine could not work with; none repeats a secret."""
    return _problems(config, config.vectors)


def _problems(config: Settings, engine: str) -> list[str]:
    needs, module = _NEEDS[engine]
    problems = [
        f"{variable_of('vectors')}={engine} needs {variable_of(name)}"
        for name in needs
        if getattr(config, name) is None
    ]
    for name in (name for name in needs if name.endswith("_url")):
        if wrong := _wrong_url(getattr(config, name)):
            problems.append(f"{variable_of(name)} {wrong}")
    if module and importlib.util.find_spec(module) is None:
        problems.append(f"{variable_of('vectors')}={engine} needs {extra_of(engine)}")
    return problems


def vectors_fact(config: Settings) -> str:
    """What `doctor` says of where passages are searched."""
    if config.vectors == "sealed":
        return "sealed partitions: vectors are sealed too"
    return f"{config.vectors}: {IN_CLEAR}"


def _wrong_url(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http"):
        return "must be https:// or http:// and a host, with a port that is not 0"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "must be https://: texts are sealed, vectors and passwords are not"
    return None
