"""Accounts of the emulated cloud: regions, credentials, quotas, the folder of the invocation log.

A credential is an access key (with a session token where it is temporary), a bearer key (an
"Amazon Bedrock API key"), or both. Secrets live in memory and in `<data>/accounts.json` (mode 600).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bedrock_emulator.engine.guardrail import Guardrail, GuardrailLookup
from bedrock_emulator.regions import bedrock_arn

DEFAULT_REGIONS = ("us-east-1", "eu-central-1")
POOL_ACCOUNT = "111111111111"
SILO_ACCOUNT = "222222222222"
CREDENTIALS_MAX = 10_000  # in one emulator, so that created sessions cannot grow without end
_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller proves itself with. `repr` never shows a secret."""

    arn: str  # the log's identity.arn
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    bearer_key: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    bearer_region: str | None = None  # where the bearer key calls; the account's first by default


@dataclass(frozen=True, slots=True)
class QuotaRule:
    """Limits for the models and regions that match; None is unlimited. The first match holds."""

    model: str = "*"  # glob over the base model id and the id as called
    region: str = "*"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class ProvisionedModel:
    """Bought throughput: an ARN of the account's own for a model, apart from on-demand quotas."""

    id: str  # 12 lower-case letters and digits
    model: str  # base model id
    region: str

    def arn(self, account_id: str) -> str:
        return bedrock_arn(self.region, account_id, f"provisioned-model/{self.id}")


@dataclass(frozen=True, slots=True)
class Account:
    id: str  # 12 digits
    name: str
    regions: tuple[str, ...]
    log_dir: Path
    credentials: tuple[Credential, ...]
    quotas: tuple[QuotaRule, ...] = ()
    provisioned: tuple[ProvisionedModel, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()


def guardrails_of(accounts: tuple[Account, ...]) -> GuardrailLookup:
    """Finds the accounts' guardrails by account, id and version."""
    known = {
        (account.id, guardrail.id, guardrail.version): guardrail
        for account in accounts
        for guardrail in account.guardrails
    }
    return lambda *names: known.get(names)


class Directory:
    """Finds accounts by id, access key id and bearer key."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self.accounts = {account.id: account for account in accounts}
        self._by_access_key: dict[str, tuple[Account, Credential]] = {}
        self._by_bearer: dict[bytes, tuple[Account, Credential]] = {}
        # Bearer keys are looked up by a keyed hash, so that a lookup's time tells nothing of them.
        self._pepper = secrets.token_bytes(32)
        for account in accounts:
            for credential in account.credentials:
                self.add(account, credential)

    def add(self, account: Account, credential: Credential) -> None:
        """Raises ValueError if the key is taken or the directory is full."""
        if len(self._by_access_key) + len(self._by_bearer) >= CREDENTIALS_MAX:
            raise ValueError(f"more than {CREDENTIALS_MAX} credentials")
        if credential.access_key_id is not None:
            if credential.access_key_id in self._by_access_key:
                raise ValueError(f"access key id {credential.access_key_id} is given twice")
            self._by_access_key[credential.access_key_id] = (account, credential)
        if credential.bearer_key is not None:
            digest = self._digest(credential.bearer_key)
            if digest in self._by_bearer:
                raise ValueError(f"a bearer key of account {account.id} is given twice")
            self._by_bearer[digest] = (account, credential)

    def by_access_key(self, access_key_id: str) -> tuple[Account, Credential] | None:
        return self._by_access_key.get(access_key_id)

    def by_bearer_key(self, bearer_key: str) -> tuple[Account, Credential] | None:
        return self._by_bearer.get(self._digest(bearer_key))

    def _digest(self, bearer_key: str) -> bytes:
        return hmac.digest(self._pepper, bearer_key.encode(), hashlib.sha256)


def user_arn(account_id: str, name: str) -> str:
    return f"arn:aws:iam::{account_id}:user/{name}"


def new_credential(account_id: str, name: str) -> Credential:
    """A permanent access key and a bearer key, in the shapes that AWS gives them."""
    return Credential(
        arn=user_arn(account_id, name),
        access_key_id="AKIA" + _random_id(16),
        secret_access_key=b64encode(secrets.token_bytes(30)).decode(),
        bearer_key=_new_bearer_key(account_id),
    )


def new_session(account_id: str, role: str, session: str, expires_at: datetime) -> Credential:
    """Temporary credentials, as an assumed role has them."""
    return Credential(
        arn=f"arn:aws:sts::{account_id}:assumed-role/{role}/{session}",
        access_key_id="ASIA" + _random_id(16),
        secret_access_key=b64encode(secrets.token_bytes(30)).decode(),
        session_token=b64encode(secrets.token_bytes(120)).decode(),
        expires_at=expires_at,
    )


def _random_id(length: int) -> str:
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(length))


def _new_bearer_key(account_id: str) -> str:
    secret = b64encode(secrets.token_bytes(24)).decode()
    return "ABSK" + b64encode(f"BedrockAPIKey-emul-at-{account_id}:{secret}".encode()).decode()
