"""Who is calling: SigV4 or a bearer key, and in which region."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bedrock_emulator.accounts import Account, Credential, Directory
from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.regions import is_region
from bedrock_emulator.wire import sigv4
from bedrock_emulator.wire.exchange import Request

_REGIONAL_HOST = re.compile(r"bedrock(?:-(?:agent-)?runtime)?\.([^.]+)\.")


@dataclass(frozen=True, slots=True)
class Principal:
    account: Account
    region: str
    arn: str


class Authenticator:
    def __init__(self, directory: Directory, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._now = now
        self._verifier = sigv4.Verifier()

    def authenticate(self, request: Request) -> Principal:
        """Raises EmulatedError (403) with the name and message that AWS answers with."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise EmulatedError(
                "MissingAuthenticationTokenException", 403, "Missing Authentication Token"
            )
        if authorization.startswith(sigv4.ALGORITHM):
            return self._from_signature(request, authorization)
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._from_bearer(request, token.strip())
        raise EmulatedError(
            "IncompleteSignatureException",
            403,
            "Authorization header requires 'Credential' parameter.",
        )

    def _from_signature(self, request: Request, value: str) -> Principal:
        authorization = sigv4.parse_authorization(value)
        found = self._directory.by_access_key(authorization.access_key_id)
        if found is None:
            raise _unrecognized()
        account, credential = found
        if credential.secret_access_key is None:
            raise _unrecognized()
        # An unknown or expired token is told first, as AWS does, but only for a key that exists.
        self._check_token(request, credential)
        self._verifier.verify(
            authorization,
            credential.secret_access_key,
            method=request.method,
            raw_path=request.raw_path,
            raw_query=request.raw_query,
            headers=request.headers,
            body=request.body,
            now=self._now(),
        )
        if authorization.region not in account.regions:
            raise sigv4.invalid("Credential should be scoped to a valid region.")
        return Principal(account, authorization.region, credential.arn)

    def _check_token(self, request: Request, credential: Credential) -> None:
        if request.headers.get("x-amz-security-token") != credential.session_token:
            raise _unrecognized()
        self._check_expiry(credential)

    def _check_expiry(self, credential: Credential) -> None:
        if credential.expires_at is not None and credential.expires_at <= self._now():
            raise EmulatedError(
                "ExpiredTokenException",
                403,
                "The security token included in the request is expired",
            )

    def _from_bearer(self, request: Request, token: str) -> Principal:
        found = self._directory.by_bearer_key(token)
        if found is None:
            raise EmulatedError(
                "AccessDeniedException",
                403,
                "Authentication failed: Please make sure your API Key is valid.",
            )
        account, credential = found
        self._check_expiry(credential)
        region = _host_region(request) or credential.bearer_region or account.regions[0]
        if region not in account.regions:
            raise EmulatedError(
                "AccessDeniedException",
                403,
                "Authentication failed: Please make sure your API Key is valid.",
            )
        return Principal(account, region, credential.arn)


def _host_region(request: Request) -> str | None:
    """A bearer key names no region: `bedrock-runtime.<region>.localhost` as the host does."""
    match = _REGIONAL_HOST.match(request.headers.get("host", ""))
    return match[1] if match and is_region(match[1]) else None


def _unrecognized() -> EmulatedError:
    return EmulatedError(
        "UnrecognizedClientException", 403, "The security token included in the request is invalid."
    )
