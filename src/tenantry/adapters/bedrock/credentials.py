"""The AWS credentials of the accounts that answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class UnknownCredentials(LookupError):
    """No credentials are configured under this name."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; secret and token never show in a repr, a log or a traceback's locals."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class CredentialsProvider(Protocol):
    """Where credentials come from: configuration today, an assumed role per tenant later."""

    async def credentials(self, ref: str) -> Credentials:
        """The credentials to sign with now. Raises UnknownCredentials."""
        ...


class StaticCredentials:
    """Credentials that are part of the configuration, by reference."""

    def __init__(self, by_ref: Mapping[str, Credentials]) -> None:
        self._by_ref = dict(by_ref)

    async def credentials(self, ref: str) -> Credentials:
        """See CredentialsProvider."""
        found = self._by_ref.get(ref)
        if found is None:
            raise UnknownCredentials(f"no credentials are configured for {ref!r}")
        return found
