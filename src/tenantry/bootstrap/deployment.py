"""Settings, secrets and the control plane of this deployment."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from tenantry.adapters.bedrock.credentials import Credentials
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.disks import DATABASE, HOME, Disks
from tenantry.adapters.keys import control_plane
from tenantry.adapters.objects.disk import DiskObjects
from tenantry.adapters.objects.durable_file import ROOT_MARK, DurableFiles
from tenantry.adapters.postgres.clock import PostgresTime
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.round_marks import RoundMarks
from tenantry.application.clock_watch import CheckedClock, ClockWatch
from tenantry.bootstrap.checks.home_owner import owner_problems, shut_out
from tenantry.bootstrap.checks.keys import key_problems
from tenantry.bootstrap.checks.outside import outside_problems
from tenantry.bootstrap.checks.reach import reach_problems
from tenantry.bootstrap.checks.vectors import vectors_problems
from tenantry.bootstrap.control_files import (
    access_keys_in,
    credentials_path,
    token_in,
    token_of,
    token_path,
    token_problems,
)
from tenantry.config import DEFAULT, Settings, SettingsError, examine_settings, variable_of
from tenantry.ports.clock import Clock

SECRET_BYTES = 32
_DAY_S = 86_400.0


def settings() -> Settings:
    """The settings of this process. Raises `SettingsError`, also for what is not there yet."""
    config, problems = examined_settings()
    if problems:
        raise SettingsError("\n".join(problems))
    return config


def examined_settings() -> tuple[Settings, list[str]]:
    """The settings of this process as far as they can be read, and a line for each problem."""
    try:
        config, problems = examine_settings()
    except RuntimeError:  # a user id without a name, whose home folder nothing tells
        raise SettingsError(f"{variable_of('home')} must be set: this user has no home") from None
    if (shut := shut_out(config)) is not None:
        return config, [shut]
    asked = {
        "storage": config.storage != "postgres",
        "objects_url": config.objects_url is not None,
        "queue_url": config.queue_url is not None,
    }
    problems += [
        *(
            f"{variable_of(name)} asks for what this version does not have"
            for name in asked
            if asked[name]
        ),
        *reach_problems(config),
        *key_problems(config),
        *outside_problems(config),
        *vectors_problems(config),
        *token_problems(config),
        *owner_problems(config),
    ]
    return config, problems


def env_told(config: Settings) -> str:
    """The label of this deployment for its log; empty where nobody has given it one."""
    return "" if config.origin("env") == DEFAULT else config.env


def round_marks(config: Settings) -> RoundMarks:
    """When the rounds of this data folder's background worker last ended."""
    return RoundMarks(config.home / "background")


def disks_of(config: Settings) -> Disks:
    """Those that this deployment fills on this machine."""
    place = known_place(config.home) if config.database_url is None else None
    return Disks({HOME: config.home, **({DATABASE: place.data} if place is not None else {})})


def make_secret(config: Settings, name: str) -> bytes:
    """A random secret of this deployment in `<home>/control/<name>`, made once, mode 600."""
    path = config.home / "control" / name
    if not path.exists():
        DurableFiles().create(path, secrets.token_hex(SECRET_BYTES).encode())
    return path.read_bytes()


def secret_of(config: Settings, name: str) -> bytes:
    """The same where it was made. Raises `SettingsError`: who asks for it makes no deployment."""
    path = config.home / "control" / name
    if not path.exists():
        check_deployed(config)
        raise SettingsError(f"{path} is not there: `tenantry serve` makes it.")
    return path.read_bytes()


def check_deployed(config: Settings) -> None:
    """Raises `SettingsError` for a home that was never served from, such as a mistyped one."""
    if not (config.home / "control" / "key").exists():
        raise SettingsError(no_deployment(config))


def no_deployment(config: Settings) -> str:
    return (
        f"There is no deployment in {config.home} ({variable_of('home')}):"
        " `tenantry serve` or `tenantry migrate` makes one."
    )


def accounts_of(config: Settings) -> tuple[Path, DurableFiles]:
    """Where keys and objects of each account lie, and what writes there while it is there."""
    accounts = config.home / "accounts"
    return accounts, DurableFiles(accounts)


def make_accounts(config: Settings) -> None:
    """The folder of `accounts_of`, known from then on from the place that its disk leaves."""
    DurableFiles().create(config.home / "accounts" / ROOT_MARK, b"")


def objects_of(
    config: Settings, may_discard: Callable[[], Awaitable[bool]] | None = None
) -> DiskObjects:
    """Sealed objects in the accounts' folders. `may_discard`: whether they are this database's."""
    trash_s = config.trash_keep_days * _DAY_S
    return DiskObjects(*accounts_of(config), trash_s=trash_s, may_discard=may_discard)


def make_operator_token(config: Settings) -> None:
    """In the home, once, where the settings give none."""
    if not config.operator_token:
        make_secret(config, token_path(config).name)


def operator_token(config: Settings) -> str:
    """The operator's token: of the settings, else what was made or laid down in the home.

    Raises `SettingsError` where there is none, and for one that is no token, such as an empty file.
    """
    if config.operator_token:
        return token_of(config.operator_token, variable_of("operator_token"))
    secret_of(config, token_path(config).name)
    return token_in(token_path(config))


def control_of(config: Settings, databases: Databases) -> PostgresControl:
    key = control_plane.load(config.home / "control")
    return PostgresControl(databases.control, pepper=key.pepper, seal=key.seal, clock=SystemClock())


def credentials_of(config: Settings) -> dict[str, Credentials]:
    """`<home>/control/credentials.json`: account → access key, mode 600."""
    return access_keys_in(credentials_path(config))


def clock_watch(databases: Databases, machine: Clock, runs: str) -> tuple[CheckedClock, ClockWatch]:
    """The clock of a process that `runs` here, and what holds it to the database's."""
    clock = CheckedClock(machine)
    worker = f"{socket.gethostname()}/{runs}"
    return clock, ClockWatch(clock, machine, PostgresTime(databases.control), worker)
