"""What an operator lays into `<home>/control`: token and access keys, and who may read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from tenantry.adapters.bedrock.credentials import Credentials
from tenantry.config import Settings, SettingsError, variable_of

TOKEN_CHARACTERS_MIN = 16
_TOKEN = re.compile(rf"[ -~]{{{TOKEN_CHARACTERS_MIN},}}")
# The control plane's key is not among them: it is refused where it is read.
_SECRETS = (
    "control/operator-token",
    "control/credentials.json",
    "control/database-secret",
    "postgres.secrets",
)
_Word = Annotated[str, msgspec.Meta(min_length=1)]


class _AccessKey(msgspec.Struct, forbid_unknown_fields=True):
    access_key_id: _Word
    secret_access_key: _Word
    session_token: str | None = None


def token_path(config: Settings) -> Path:
    return config.home / "control" / "operator-token"


def credentials_path(config: Settings) -> Path:
    return config.home / "control" / "credentials.json"


def token_of(text: str, source: object) -> str:
    """An operator's token without the white space around it. Raises `SettingsError` that names
    the source, and never repeats the token."""
    token = text.strip()
    if _TOKEN.fullmatch(token) is None:
        raise SettingsError(
            f"{source} must hold at least {TOKEN_CHARACTERS_MIN} printable ASCII characters"
        )
    return token


def token_in(path: Path) -> str:
    """The operator's token in a file. Raises `SettingsError`."""
    return token_of(_read(path).decode("ascii", "replace"), path)


def access_keys_in(path: Path) -> dict[str, Credentials]:
    """Account → access key; none where the file is not there. Raises `SettingsError`."""
    if not path.exists():
        return {}
    try:
        table = msgspec.json.decode(_read(path), type=dict[str, _AccessKey])
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        reason = str(wrong).replace("`", "").replace("Expected", "expected")
        raise SettingsError(f"{path} must map accounts to access keys: {reason}") from None
    return {
        account: Credentials(key.access_key_id, key.secret_access_key, key.session_token)
        for account, key in table.items()
    }


def token_problems(config: Settings) -> list[str]:
    """A line where the setting of the operator's token is none."""
    try:
        if config.operator_token:
            token_of(config.operator_token, variable_of("operator_token"))
    except SettingsError as wrong:
        return [str(wrong)]
    return []


def control_problems(config: Settings) -> list[str]:
    """A line for each of the operator's files that cannot be served with; nothing is written."""
    problems = []
    try:
        if not config.operator_token and token_path(config).exists():
            token_in(token_path(config))
    except SettingsError as wrong:
        problems.append(str(wrong))
    try:
        access_keys_in(credentials_path(config))
    except SettingsError as wrong:
        problems.append(str(wrong))
    return problems


def open_secrets(config: Settings) -> list[str]:
    """A line for each file with a secret that others than its owner may read or write."""
    found = []
    for path in (config.home / name for name in _SECRETS):
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:  # not there, or not for us to see
            continue
        if mode & 0o077:
            found.append(f"{path} is open to others: its mode is {mode:04o} and must be 0600")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
