"""Which invocation logs there are: the accounts' folders, a bucket for all, a placement's own.

Owns: opening them, and noticing placements that name another one while the worker runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tenantry.adapters.bedrock.credentials import Credentials
from tenantry.adapters.invocation_log.folder import OF_EACH_ACCOUNT, FolderLog
from tenantry.adapters.invocation_log.stored import StoredLog
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.adapters.record_files.local import LocalFiles
from tenantry.adapters.record_files.s3 import S3Files
from tenantry.application.round import Round
from tenantry.bootstrap.deployment import credentials_of
from tenantry.config import Settings
from tenantry.ports.invocation_log import CountingLog
from tenantry.ports.ledger import LogLocation
from tenantry.ports.record_files import RecordFiles

LOOK_EVERY_S = 60.0  # for placements that name another log
EMBEDDED, OF_ALL = "embedded", "settings"
S3 = "s3://"
_PARTS = 3  # of the name of a placement's log


class LogSources(dict[str, CountingLog]):
    """The logs by name, kept in step with the placements by `refresh`. What is open stays open, and
    one that is named no more until nothing waits for it. `notes`: whether these are what is set up,
    as a worker's are."""

    def __init__(
        self, config: Settings, keeper: PostgresLedgerKeeper, *, notes: bool = True
    ) -> None:
        super().__init__()
        self._config = config
        self._keeper = keeper
        self._notes = notes
        self[EMBEDDED] = FolderLog(config.home / "accounts", each=OF_EACH_ACCOUNT)
        self._of_all: str | None = None
        if config.invocation_log_url is not None:
            self._of_all = f"{OF_ALL} {config.invocation_log_url}"
            self[self._of_all] = StoredLog(S3Files(config.invocation_log_url))
        self._always = frozenset(self)

    async def refresh(self) -> None:
        """Opens the logs that placements name and that are not open yet, closes the others.
        Raises `Unavailable`."""
        wanted = {_name(at): at for at in await self._keeper.log_locations()}
        named = self._always | wanted.keys()
        if self._notes:
            if self._of_all is not None:
                await self._keeper.name_settings(self._of_all)
            await self._keeper.note_gone(sorted(named))
        for name in await self._keeper.former_logs():
            if name not in named and (at := _former(name)) is not None:
                wanted[name] = at
        for name in [n for n in self if n not in self._always and n not in wanted]:
            del self[name]
        keys = credentials_of(self._config)
        for name, at in wanted.items():
            if name not in self:
                self[name] = _of_place(at, keys.get(at.account))

    def round(self) -> Round:
        return Round("log-sources", LOOK_EVERY_S, self.refresh)


def logs_at(places: Sequence[str], period: tuple[datetime, datetime]) -> list[CountingLog]:
    """The logs that a person names: folders, files, `s3://bucket/prefix`."""
    return [_log_at(place, period) for place in places]


def record_files(place: str) -> RecordFiles:
    """Raises `OSError` where there is nothing, `ValueError` for no such kind of place."""
    return S3Files(place) if place.startswith(S3) else LocalFiles(Path(place))


def _log_at(place: str, period: tuple[datetime, datetime]) -> CountingLog:
    if not place.startswith(S3) and Path(place).is_dir():
        return FolderLog(Path(place), anywhere=True)
    return StoredLog(record_files(place), period=period, anywhere=True)


def _name(at: LogLocation) -> str:
    return f"{at.account} {at.region} {at.url}"


def _former(name: str) -> LogLocation | None:
    """Of one that placements or settings named once. None: it is no bucket."""
    if name.startswith(f"{OF_ALL} {S3}"):
        return LogLocation("", "", name.removeprefix(f"{OF_ALL} "))
    parts = name.split(" ", 2)
    return LogLocation(*parts) if len(parts) == _PARTS and parts[2].startswith(S3) else None


def _of_place(at: LogLocation, keys: Credentials | None) -> StoredLog:
    if not at.account:
        return StoredLog(S3Files(at.url))
    config = None
    if keys is not None:
        config = {
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
            **({"session_token": keys.session_token} if keys.session_token else {}),
        }
    files = S3Files(at.url, region=at.region, credentials=config)
    return StoredLog(files, places=frozenset({(at.account, at.region)}))
