"""`ports.object_mark.MarkFile`: `<accounts>/.database`, one line of JSON."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

from tenantry.adapters.objects.durable_file import ROOT_MARK
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.object_mark import ObjectMark
from tenantry.ports.objects import Files

NAME = ".database"  # no account's folder has a dot


class DiskMark:
    def __init__(self, accounts: Path, files: Files) -> None:
        self._accounts = accounts
        self._files = files

    async def read(self) -> ObjectMark | None:
        return await asyncio.to_thread(self._read)

    async def write(self, mark: ObjectMark) -> None:
        text = json.dumps({"database": mark.database, "at": mark.at.isoformat()})
        await asyncio.to_thread(self._write, f"{text}\n".encode())

    def _read(self) -> ObjectMark | None:
        self._check_disk()
        try:
            told = json.loads((self._accounts / NAME).read_bytes())
            at = datetime.fromisoformat(told["at"])
            if at.tzinfo is None or not isinstance(told["database"], str):
                raise ValueError
            return ObjectMark(told["database"], at)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable("The mark beside the objects cannot be read.") from error
        except (ValueError, KeyError, TypeError):
            raise Corrupt("The mark beside the objects is damaged.") from None

    def _write(self, data: bytes) -> None:
        self._check_disk()
        self._files.replace(self._accounts / NAME, data)

    def _check_disk(self) -> None:
        if not (self._accounts / ROOT_MARK).exists():
            raise Unavailable("The disk of the documents is not there.")
