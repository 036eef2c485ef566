"""Clients of a running product: unmodified SDKs, and plain HTTP for what no SDK would send."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

import orjson

from tenantry.entrypoints.api_client import Api
from tenantry.ports.control import NewKey

TIMEOUT_S = 60
Reply = tuple[int, dict[str, str], bytes]


class HasKey(Protocol):
    @property
    def key(self) -> NewKey: ...


class Clients:
    """For each way in, a client that speaks for one tenant."""

    url: str
    https_url: str
    admin_url: str
    operator_token: str
    ca_bundle: Path

    def boto3(
        self,
        tenant: HasKey,
        how: Literal["sigv4", "bearer"] = "sigv4",
        service: Literal["bedrock-runtime", "bedrock-agent-runtime"] = "bedrock-runtime",
        **config: Any,
    ) -> Any:
        """boto3's client of a service: SigV4 in clear, or the bearer key over TLS.

        `config` is botocore's; by default nothing is sent twice.
        """
        from botocore.config import Config

        settings = {"retries": {"total_max_attempts": 1}, "read_timeout": TIMEOUT_S, **config}
        if how == "sigv4":
            return _session().client(
                service,
                region_name="us-east-1",
                endpoint_url=self.url,
                aws_access_key_id=tenant.key.access_key_id,
                aws_secret_access_key=tenant.key.secret_access_key,
                config=Config(**settings),
            )
        return _session(tenant.key.bearer).client(
            service,
            region_name="us-east-1",
            endpoint_url=self.https_url,
            verify=str(self.ca_bundle),
            config=Config(signature_version="bearer", **settings),
        )

    def openai(self, tenant: HasKey, **options: Any) -> Any:
        import openai

        settings = {"max_retries": 0, "timeout": TIMEOUT_S, **options}
        return openai.OpenAI(api_key=tenant.key.bearer, base_url=f"{self.url}/v1", **settings)

    def api(self, tenant: HasKey) -> Api:
        """The command line's own client: JSON, uploads, streams that can be left."""
        return Api(self.url, tenant.key.bearer)

    def http(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] = b"",
        *,
        tenant: HasKey | None = None,
        headers: Mapping[str, str] | None = None,
        admin: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> Reply:
        """Status, headers with lower-case names, body. `admin`: as the operator, on its port."""
        address = urlsplit(self.admin_url if admin else self.url).netloc
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if not isinstance(body, bytes):
            body = orjson.dumps(body)
            sent.setdefault("content-type", "application/json")
        bearer = self.operator_token if admin else tenant.key.bearer if tenant else None
        if bearer is not None:
            sent.setdefault("authorization", f"Bearer {bearer}")
        connection = http.client.HTTPConnection(address, timeout=timeout_s)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether a gateway worker answers and reaches its database."""
        try:
            return self.http("GET", "/readyz", admin=True, timeout_s=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def _session(bearer: str | None = None) -> Any:
    """A session of its own, which reads none of botocore's service models anew."""
    import boto3
    import botocore.session

    own = botocore.session.get_session()
    own.register_component("data_loader", _models())
    if bearer is not None:
        own.register_component("token_provider", _Bearer(bearer))
    return boto3.Session(botocore_session=own)


@cache
def _models() -> Any:
    import botocore.session

    return botocore.session.get_session().get_component("data_loader")


class _Bearer:
    """A token for one client, where AWS_BEARER_TOKEN_BEDROCK would be one for the process."""

    def __init__(self, bearer: str) -> None:
        self._bearer = bearer

    def load_token(self, **_: object) -> Any:
        from botocore.tokens import FrozenAuthToken

        return FrozenAuthToken(self._bearer)


def converse_path(model: str, stream: bool = False) -> str:
    return f"/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}"


def converse_body(text: str = "Hello.", max_tokens: int = 64) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "inferenceConfig": {"maxTokens": max_tokens},
    }
