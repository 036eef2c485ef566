"""`ports.object_mark.MarkFile`: `<accounts>/.database`, one line of JSON."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime
from pathlib import Path

from tenantry.adapters.objects.durable_file import ROOT_MARK
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.object_mark import ObjectMark
from tenantry.ports.objects import Files

NAME = ".database"  # no account's folder has a dot
_LINE = re.compile(r"[0-9a-f]{32}")


class DiskMark:
    def __init__(self, accounts: Path, files: Files) -> None:
        self._accounts = accounts
        self._files = files

    async def read(self) -> ObjectMark | None:
        return await asyncio.to_thread(self._read)

    async def begin(self, mark: ObjectMark) -> None:
        await asyncio.to_thread(self._begin, _told(mark))

    async def write(self, mark: ObjectMark) -> None:
        await asyncio.to_thread(self._write, _told(mark))

    def _read(self) -> ObjectMark | None:
        self._check_disk()
        try:
            told = json.loads((self._accounts / NAME).read_bytes())
            line, at = told.get("line"), told["at"]
            if not isinstance(told["database"], str):
                raise ValueError
            if line is not None and not _LINE.fullmatch(line):
                raise ValueError
            if at is None and line is not None:
                return ObjectMark(told["database"], None, line)
            instant = datetime.fromisoformat(at)
            if instant.tzinfo is None:
                raise ValueError
            return ObjectMark(told["database"], instant, line)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable("The mark beside the objects cannot be read.") from error
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("The mark beside the objects is damaged.") from None

    def _begin(self, data: bytes) -> None:
        self._check_disk()
        self._files.create(self._accounts / NAME, data)

    def _write(self, data: bytes) -> None:
        self._check_disk()
        self._files.replace(self._accounts / NAME, data)

    def _check_disk(self) -> None:
        if not (self._accounts / ROOT_MARK).exists():
            raise Unavailable("The disk of the documents is not there.")


def _told(mark: ObjectMark) -> bytes:
    at = None if mark.at is None else mark.at.isoformat()
    return f"{json.dumps({'database': mark.database, 'line': mark.line, 'at': at})}\n".encode()
