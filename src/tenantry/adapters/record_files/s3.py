"""Objects under a prefix of an S3 bucket, read with obstore.

Without credentials given, AWS's usual chain is asked: variables, web identity, container, instance.
An endpoint of one's own comes by `AWS_ENDPOINT_URL`, as everywhere with AWS.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from obstore.exceptions import BaseError
from obstore.store import S3Store

from tenantry.domain.outage import first_words
from tenantry.domain.placement import s3_location
from tenantry.ports.record_files import FileEntry

if TYPE_CHECKING:
    from obstore.store import S3Config

OBJECT_BYTES_MAX: Final = 4 * 1024**3  # of one file that is brought to this machine
TIMEOUT_S: Final = 60
RETRIES: Final = 3
_LIST_CHUNK = 1_000
_OUTAGES = (BaseError, FileNotFoundError)  # the second for what is not there


class S3Files:
    """`url` is `s3://bucket` or `s3://bucket/prefix`. Raises `ValueError` for another."""

    def __init__(
        self,
        url: str,
        *,
        region: str | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        bucket, prefix = s3_location(url)
        given: dict[str, Any] = {**({"region": region} if region else {}), **(credentials or {})}
        self.where = url
        try:
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                config=cast("S3Config", given),
                # Clear HTTP only where an operator's own endpoint says so; Amazon's is https.
                client_options={"timeout": timedelta(seconds=TIMEOUT_S), "allow_http": True},
                retry_config={"max_retries": RETRIES},
            )
        except _OUTAGES as problem:
            raise self._unreachable(problem) from None

    def entries(self, folder: str = "", *, after: str = "") -> Iterator[FileEntry]:
        try:
            pages = self._store.list(folder or None, offset=after or None, chunk_size=_LIST_CHUNK)
            for page in pages:
                for item in page:
                    yield FileEntry(item["path"], item["last_modified"], item["size"])
        except _OUTAGES as problem:
            raise self._unreachable(problem) from None

    def folders(self, folder: str = "") -> list[str]:
        try:
            found = self._store.list_with_delimiter(folder or None)
        except _OUTAGES as problem:
            raise self._unreachable(problem) from None
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="tenantry-s3-") as folder:
            path = Path(folder, name.rpartition("/")[2] or "object")
            self._bring(name, path)
            yield path

    def _bring(self, name: str, path: Path) -> None:
        try:
            found = self._store.get(name)
            if found.meta["size"] > OBJECT_BYTES_MAX:
                raise OSError(f"{name} in {self.where} is larger than {OBJECT_BYTES_MAX} bytes")
            with path.open("wb") as file:
                for chunk in found.stream():
                    file.write(chunk)
        except _OUTAGES as problem:
            raise self._unreachable(problem) from None

    def _unreachable(self, problem: Exception) -> OSError:
        return OSError(f"{self.where}: {first_words(problem)}")
