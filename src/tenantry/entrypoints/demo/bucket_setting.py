"""The setting that leads batches of the demo to its own buckets, whoever reads or writes them.

Owns: one line of the home's settings file, so that a command in another terminal needs the home
alone. It is written anew by each walk, since a home can be moved.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Final

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.config import FILE_NAME, Settings
from tenantry.entrypoints.demo.stage import buckets_of

_NAME: Final = "s3_folder"
_BY_US: Final = "  # written by `tenantry demo`"
_LINE: Final = re.compile(rf"^{_NAME} = .*{_BY_US}\n", re.MULTILINE)


def leads_elsewhere(config: Settings) -> bool:
    """Whether somebody set another folder than the demo's own, by whatever path."""
    given = getattr(config, _NAME)
    if given is None or given.resolve() == buckets_of(config.home).resolve():
        return False
    return not (config.origin(_NAME).startswith("file ") and _LINE.search(_text(config.home)))


def lead_to_own_buckets(home: Path) -> None:
    """Writes the line, whole or not at all, unless the file has the setting already."""
    rest = _LINE.sub("", text := _text(home))
    if _NAME in tomllib.loads(rest):
        return
    folder = json.dumps(str(buckets_of(home)), ensure_ascii=False)
    if (wanted := f"{_NAME} = {folder}{_BY_US}\n{rest}") != text:
        DurableFiles().replace((home / FILE_NAME).resolve(), wanted.encode())


def _text(home: Path) -> str:
    try:
        return (home / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
