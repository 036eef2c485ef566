"""The emulator's settings: built-in values, then a TOML file, then the command line.

Accounts may come from the environment too, which is read nowhere else.
Every name in the file is checked; a name that is not known is an error, not a silence.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from bedrock_emulator.accounts import Account, Credential, ProvisionedModel, QuotaRule, user_arn
from bedrock_emulator.engine.catalogue import catalogue
from bedrock_emulator.engine.guardrail import Guardrail
from bedrock_emulator.faults import RuleBook
from bedrock_emulator.guardrail_settings import guardrail_from
from bedrock_emulator.invocation_log import Delivery
from bedrock_emulator.regions import is_region

Mode = Literal["models", "fixed"]
DEFAULT_FIXED_ANSWER = "This is the fixed answer of the emulator."
FIXED_OUTPUT_TOKENS_MAX = 131_072
# A JSON list in the words of `[[accounts]]`, for credentials that belong in no file.
ACCOUNTS_VARIABLE = "BEDROCK_EMULATOR_ACCOUNTS"
_ACCOUNT_ID = re.compile(r"\d{12}")
_PROVISIONED_ID = re.compile(r"[a-z0-9]{12}")
_Value = TypeVar("_Value")


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the setting and what is wrong."""


@dataclass(frozen=True, slots=True)
class Config:
    data_dir: Path = Path(".bedrock-emulator")
    host: str = "127.0.0.1"
    http_port: int = 8090  # 0: any free port
    https_port: int = 8490
    mode: Mode = "models"
    fixed_answer: str = DEFAULT_FIXED_ANSWER
    fixed_output_tokens: int | None = None  # None: as many as the fixed answer has
    threads: int = 2  # that generate in mode `models`
    token_delay_ms: int = 0  # for each output token
    exit_with_parent: bool = False
    s3_dir: Path | None = None  # a folder for each bucket; None: `s3` in the data folder
    batch_delay_ms: int = 0  # from a batch job's submission to its start
    delivery: Delivery = field(default_factory=Delivery)
    accounts: tuple[Account, ...] = ()  # empty: the two default accounts, kept in accounts.json
    rules: tuple[dict[str, Any], ...] = ()


def load(path: Path, data_dir: Path | None = None) -> Config:
    """Reads a TOML file; `data_dir` replaces the file's. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse(document, base_dir=path.parent, data_dir=data_dir)


def parse(document: dict[str, Any], *, base_dir: Path, data_dir: Path | None = None) -> Config:
    """`data_dir` in the document is relative to `base_dir`, log folders to the data folder."""
    table = _Table(document, "")
    default = Config()
    named_dir = base_dir / table.take("data_dir", str, str(default.data_dir))
    log = table.table("log")
    config = Config(
        data_dir=named_dir if data_dir is None else data_dir,
        host=table.take("host", str, default.host),
        http_port=table.integer("http_port", default.http_port, 0, 65_535),
        https_port=table.integer("https_port", default.https_port, 0, 65_535),
        mode=_mode(table.take("mode", str, default.mode)),
        fixed_answer=table.take("fixed_answer", str, default.fixed_answer),
        fixed_output_tokens=table.optional_integer(
            "fixed_output_tokens", 1, FIXED_OUTPUT_TOKENS_MAX
        ),
        threads=table.integer("threads", default.threads, 1, 64),
        token_delay_ms=table.integer("token_delay_ms", 0, 0, 60_000),
        s3_dir=_optional_path(table, "s3_dir", base_dir),
        batch_delay_ms=table.integer("batch_delay_ms", 0, 0, 86_400_000),
        delivery=Delivery(
            delay_s=log.integer("delay_ms", 2_000, 0, 86_400_000) / 1_000,
            jitter_s=log.integer("jitter_ms", 2_000, 0, 86_400_000) / 1_000,
            seed=log.integer("seed", 0, 0, 2**63),
        ),
        rules=tuple(item.rest() for item in table.tables("rules")),
    )
    accounts = tuple(_account(item, config.data_dir) for item in table.tables("accounts"))
    log.end()
    table.end()
    return check(replace(config, accounts=accounts))


def with_environment(config: Config) -> Config:
    """Adds the environment's accounts where nothing else named any; raises ConfigError."""
    accounts = os.environ.get(ACCOUNTS_VARIABLE)
    if config.accounts or not accounts:
        return config
    try:
        document = {"accounts": json.loads(accounts)}
    except ValueError as error:
        raise ConfigError(f"{ACCOUNTS_VARIABLE}: {error}") from error
    parsed = parse(document, base_dir=Path(), data_dir=config.data_dir)
    return replace(config, accounts=parsed.accounts)


def check(config: Config) -> Config:
    """What no single setting can tell; raises ConfigError."""
    ids = [account.id for account in config.accounts]
    if len(set(ids)) != len(ids):
        raise ConfigError("accounts: an id is given twice")
    try:
        RuleBook().add(list(config.rules))
    except ValueError as error:
        raise ConfigError(f"rules: {error}") from error
    return config


def _account(table: _Table, data_dir: Path) -> Account:
    account_id = table.take("id", str)
    if not _ACCOUNT_ID.fullmatch(account_id):
        raise ConfigError(f"accounts.id: {account_id!r} does not have 12 digits")
    name = table.take("name", str, account_id)
    regions = tuple(table.take("regions", list, ["us-east-1", "eu-central-1"]))
    for region in regions:
        if not isinstance(region, str) or not is_region(region):
            raise ConfigError(f"accounts.regions: {region!r} is not a region")
    if not regions:
        raise ConfigError("accounts.regions: at least one region is needed")
    credentials = tuple(
        _credential(item, account_id, name, regions) for item in table.tables("credentials")
    )
    if not credentials:
        raise ConfigError(f"accounts.credentials: account {account_id} has none")
    account = Account(
        id=account_id,
        name=name,
        regions=regions,
        log_dir=data_dir / table.take("log_dir", str, f"logs/{account_id}"),
        credentials=credentials,
        quotas=tuple(_quota(item) for item in table.tables("quotas")),
        provisioned=tuple(_provisioned(item, regions) for item in table.tables("provisioned")),
        guardrails=tuple(_guardrail(item.rest()) for item in table.tables("guardrails")),
    )
    if len({(g.id, g.version) for g in account.guardrails}) != len(account.guardrails):
        raise ConfigError("accounts.guardrails: an id and version is given twice")
    if len({bought.id for bought in account.provisioned}) != len(account.provisioned):
        raise ConfigError("accounts.provisioned: an id is given twice")
    table.end()
    return account


def _credential(table: _Table, account_id: str, name: str, regions: tuple[str, ...]) -> Credential:
    credential = Credential(
        arn=table.take("arn", str, user_arn(account_id, name)),
        access_key_id=table.optional("access_key_id", str),
        secret_access_key=table.optional("secret_access_key", str),
        session_token=table.optional("session_token", str),
        bearer_key=table.optional("bearer_key", str),
        expires_at=table.moment("expires_at"),
        bearer_region=table.optional("bearer_region", str),
    )
    table.end()
    for name in ("access_key_id", "secret_access_key", "session_token", "bearer_key"):
        if getattr(credential, name) == "":
            raise ConfigError(f"credentials.{name} must not be empty")
    if (credential.access_key_id is None) != (credential.secret_access_key is None):
        raise ConfigError("credentials: access_key_id and secret_access_key belong together")
    if credential.access_key_id is None and credential.bearer_key is None:
        raise ConfigError("credentials: an access key or a bearer key is needed")
    if credential.bearer_region not in (None, *regions):
        raise ConfigError("credentials.bearer_region is not one of the account's regions")
    if credential.expires_at is not None and credential.expires_at.tzinfo is None:
        raise ConfigError("credentials.expires_at needs a time zone, such as Z")
    return credential


def _quota(table: _Table) -> QuotaRule:
    rule = QuotaRule(
        model=table.take("model", str, "*"),
        region=table.take("region", str, "*"),
        requests_per_minute=table.optional("requests_per_minute", int),
        tokens_per_minute=table.optional("tokens_per_minute", int),
    )
    table.end()
    for limit in (rule.requests_per_minute, rule.tokens_per_minute):
        if limit is not None and limit < 0:
            raise ConfigError("quotas: a limit must not be negative")
    return rule


def _provisioned(table: _Table, regions: tuple[str, ...]) -> ProvisionedModel:
    bought = ProvisionedModel(
        id=table.take("id", str),
        model=table.take("model", str),
        region=table.take("region", str, regions[0]),
    )
    table.end()
    if not _PROVISIONED_ID.fullmatch(bought.id):
        raise ConfigError("provisioned.id must have 12 lower-case letters and digits")
    if bought.model not in catalogue():
        raise ConfigError(f"provisioned.model: {bought.model!r} is no model of the catalogue")
    if bought.region not in regions:
        raise ConfigError("provisioned.region is not one of the account's regions")
    return bought


def _guardrail(members: dict[str, Any]) -> Guardrail:
    try:
        return guardrail_from(members)
    except ValueError as error:
        raise ConfigError(f"guardrails: {error}") from error


def _optional_path(table: _Table, key: str, base_dir: Path) -> Path | None:
    named = table.optional(key, str)
    return None if named is None else base_dir / named


def _mode(value: str) -> Mode:
    if value == "models":
        return "models"
    if value == "fixed":
        return "fixed"
    raise ConfigError("mode must be 'models' or 'fixed'")


class _Table:
    """A TOML table that is emptied member by member, so that what is left over is a mistake."""

    def __init__(self, members: dict[str, Any], name: str) -> None:
        self._members = dict(members)
        self._name = name

    def take(self, key: str, kind: type[_Value], default: _Value | None = None) -> _Value:
        value = self._members.pop(key, default)
        if value is None:
            raise ConfigError(f"{self._name}{key} is required")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError(f"{self._name}{key} must be of type {kind.__name__}")
        return value

    def optional(self, key: str, kind: type[_Value]) -> _Value | None:
        return self.take(key, kind) if key in self._members else None

    def moment(self, key: str) -> datetime | None:
        """A time; as text too, since JSON has no other."""
        if not isinstance(self._members.get(key), str):
            return self.optional(key, datetime)
        text = self.take(key, str)
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise ConfigError(f"{self._name}{key}: {text!r} is not a time") from error

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        value = self.take(key, int, default)
        if not low <= value <= high:
            raise ConfigError(f"{self._name}{key} must be from {low} to {high}")
        return value

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        return self.integer(key, low, low, high) if key in self._members else None

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, dict, {}), f"{self._name}{key}.")

    def tables(self, key: str) -> list[_Table]:
        items = self.take(key, list, [])
        if not all(isinstance(item, dict) for item in items):
            raise ConfigError(f"{self._name}{key} must be an array of tables")
        return [_Table(item, f"{self._name}{key}.") for item in items]

    def rest(self) -> dict[str, Any]:
        return self._members

    def end(self) -> None:
        if self._members:
            unknown = ", ".join(sorted(self._name + key for key in self._members))
            raise ConfigError(f"unknown settings: {unknown}")
