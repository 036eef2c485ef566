"""Objects by `s3://` URI: Amazon S3, or a folder for each bucket where one stands for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.outage import first_words
from tenantry.domain.placement import is_on_this_machine
from tenantry.ports.model import Upstream

STORES_MAX: Final = 512  # buckets that one process may talk to
OBJECT_BYTES_MAX: Final = 512 * 1024 * 1024
# Whoever asks comes again; a bucket that is away shall not keep the others waiting for minutes. A
# large object is read and written in pieces, so that no request of a bucket that is there is long.
CLIENT: Final[Any] = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=15)}
RETRY: Final[Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}  # begun until then
# What the client says of itself and of the request before it says what was wrong.
_PROSE: Final = re.compile(
    r"Generic \S+ error: (?:Error performing \S+ … in \S+,? (?:after .*?)?- )?(?:HTTP error: )?"
)
PIECE_BYTES: Final = 5 * 1024 * 1024  # the smallest part that S3 takes
PIECES_AT_ONCE: Final = 4
NOT_AMAZON: Final = (
    "its placement is answered on this machine, so Amazon S3 is not asked: set TENANTRY_S3_FOLDER"
    " to the emulator's s3_dir"
)


class UriBuckets:
    """`ports.batch.Buckets`. `credentials` by account; `folder` stands for S3 where it is given.

    What answers for Bedrock on this machine does not read Amazon's buckets, and nothing of a tenant
    is sent there for it.
    """

    def __init__(self, credentials: Mapping[str, Mapping[str, str]], folder: Path | None) -> None:
        self._credentials = credentials
        self._folder = folder
        self._stores: dict[tuple[str, str, str], Any] = {}

    async def put(self, upstream: Upstream, uri: str, data: bytes) -> None:
        import obstore  # large, and needed by batches alone

        store, key = self._at(upstream, uri)
        put = obstore.put_async(
            store, key, data, chunk_size=PIECE_BYTES, max_concurrency=PIECES_AT_ONCE
        )
        await self._tried(put, upstream, uri)

    async def get(self, upstream: Upstream, uri: str) -> bytes:
        import obstore

        store, key = self._at(upstream, uri)
        size: int = (await self._tried(obstore.head_async(store, key), upstream, uri))["size"]
        if size > OBJECT_BYTES_MAX:
            raise Unavailable(f"An object is larger than {OBJECT_BYTES_MAX:,} bytes.")
        found = bytearray()
        while len(found) < size:
            end = min(len(found) + PIECE_BYTES, size)
            piece = obstore.get_range_async(store, key, start=len(found), end=end)
            found += await self._tried(piece, upstream, uri)
        return bytes(found)

    async def has(self, upstream: Upstream, uri: str) -> bool:
        """Whether the object is there; nothing of it is read. Raises `Unavailable`."""
        import obstore

        store, key = self._at(upstream, uri)
        try:
            await self._tried(obstore.head_async(store, key), upstream, uri)
        except NotFound:
            return False
        return True

    async def delete(self, upstream: Upstream, uri: str) -> None:
        import obstore

        store, key = self._at(upstream, uri)
        try:
            await self._tried(obstore.delete_async(store, key), upstream, uri)
        except NotFound:
            return

    async def _tried(self, work: Any, upstream: Upstream, uri: str) -> Any:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
        from obstore.exceptions import NotFoundError as Absent

        try:
            return await work
        except (Absent, FileNotFoundError):
            raise NotFound("There is no such object.") from None
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise Unavailable("The bucket denies this to Tenantry's keys.") from _short(
                error, upstream, uri
            )
        except (BaseError, OSError) as error:
            raise Unavailable("The bucket cannot be reached.") from _short(error, upstream, uri)

    def _at(self, upstream: Upstream, uri: str) -> tuple[Any, str]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        assert uri.startswith("s3://") and bucket and key, f"{uri!r} is no object of a bucket"
        if self._folder is None and is_on_this_machine(upstream.endpoint_url or ""):
            why = OSError(f"s3://{bucket}: {NOT_AMAZON}")
            raise Unavailable("The bucket cannot be reached.") from why
        where = (upstream.account, upstream.region, bucket)
        if where not in self._stores:
            if len(self._stores) >= STORES_MAX:
                self._stores.clear()
            self._stores[where] = self._open(upstream, bucket)
        return self._stores[where], key

    def _open(self, upstream: Upstream, bucket: str) -> Any:
        from obstore.exceptions import BaseError
        from obstore.store import LocalStore, S3Store

        if self._folder is not None:
            try:
                return LocalStore(self._folder / bucket, mkdir=True)
            except (BaseError, OSError) as error:
                why = _short(error, upstream, f"s3://{bucket}")
                raise Unavailable("The bucket cannot be reached.") from why
        entry = self._credentials.get(upstream.credentials_ref)
        if entry is None:
            raise Unavailable("There are no credentials for the account of the bucket.")
        return S3Store(
            bucket,
            region=upstream.region,
            client_options=CLIENT,
            retry_config=RETRY,
            **entry,  # type: ignore[arg-type]
        )


def _short(error: BaseException, upstream: Upstream, uri: str) -> OSError:
    """Which bucket it was and why, in place of all that the client knows of the request."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    why = _PROSE.sub("", first_words(error))
    return OSError(f"s3://{bucket} in {upstream.region}: {why}")
