"""The accounts that a start uses, and `accounts.json` (mode 600), where other programs find them.

Without accounts in the configuration two are made on the first start and found again on the next:
a pool and a silo account.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from bedrock_emulator.accounts import (
    DEFAULT_REGIONS,
    POOL_ACCOUNT,
    SILO_ACCOUNT,
    Account,
    Credential,
    new_credential,
)
from bedrock_emulator.config import Config, ConfigError, parse
from bedrock_emulator.files import reading_again, replace_file

FILE_NAME = "accounts.json"


def resolve_accounts(config: Config) -> tuple[Account, ...]:
    """The configured accounts, else those of an earlier start, else new ones; writes the file."""
    path = config.data_dir / FILE_NAME
    if config.accounts:
        accounts = config.accounts
    elif path.exists():
        return _read(path, config)
    else:
        accounts = tuple(
            Account(
                id=account_id,
                name=name,
                regions=DEFAULT_REGIONS,
                log_dir=config.data_dir / "logs" / account_id,
                credentials=(new_credential(account_id, name),),
            )
            for account_id, name in ((POOL_ACCOUNT, "pool"), (SILO_ACCOUNT, "silo"))
        )
    content = {"accounts": [to_document(account) for account in accounts]}
    replace_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return accounts


def to_document(account: Account) -> dict[str, Any]:
    """Everything of the account, its secrets included, in the configuration's words."""
    return {
        "id": account.id,
        "name": account.name,
        "regions": list(account.regions),
        "log_dir": str(account.log_dir.absolute()),
        "credentials": [_credential_document(item) for item in account.credentials],
        "quotas": [
            _given(
                model=quota.model,
                region=quota.region,
                requests_per_minute=quota.requests_per_minute,
                tokens_per_minute=quota.tokens_per_minute,
            )
            for quota in account.quotas
        ],
        "provisioned": [
            {"id": bought.id, "model": bought.model, "region": bought.region}
            for bought in account.provisioned
        ],
    }


def _credential_document(credential: Credential) -> dict[str, Any]:
    expires_at = credential.expires_at
    return _given(
        arn=credential.arn,
        access_key_id=credential.access_key_id,
        secret_access_key=credential.secret_access_key,
        session_token=credential.session_token,
        bearer_key=credential.bearer_key,
        bearer_region=credential.bearer_region,
        expires_at=None if expires_at is None else expires_at.isoformat(),
    )


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _read(path: Path, config: Config) -> tuple[Account, ...]:
    with reading_again(path):
        document = orjson.loads(path.read_bytes())
    if not isinstance(document, dict) or set(document) != {"accounts"}:
        raise ConfigError(f"{path}: not a list of accounts")
    return parse(document, base_dir=Path(), data_dir=config.data_dir).accounts
