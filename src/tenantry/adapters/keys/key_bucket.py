"""Wrapped tenant keys under a prefix of an S3 bucket: `<account>/keys/<tenant>/<version>.json`.

A bucket that keeps versions of what is deleted is refused: a shred would leave copies in it. The
answer to a write says whether it does. Credentials come by AWS's usual chain and an endpoint of
one's own by `AWS_ENDPOINT_URL`, as everywhere with AWS.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from tenantry.adapters.keys.key_folder import BARRED, FILE_NAME, NO_KEY, check_names
from tenantry.domain.document import Home
from tenantry.domain.errors import NotFound, Unavailable
from tenantry.domain.outage import code_of, first_words
from tenantry.domain.placement import s3_location

TIMEOUT_S: Final = 10
RETRIES: Final = 3
RETRY_TIMEOUT_S: Final = 20
KEY_FILE_BYTES_MAX: Final = 65_536
_KEEPS = "The key store's bucket keeps versions, in which a shredded key would live on."
_REMOVE_ROUNDS = 3  # a rotation may have added a version meanwhile
_log = logging.getLogger(__name__)

T = TypeVar("T")


class KeyBucket:
    """`ports.key_files.KeyFiles`. `url` is `s3://bucket/prefix`; `ValueError` for another."""

    def __init__(self, url: str) -> None:
        self._bucket, self._prefix = s3_location(url)
        self._opened: Any = None

    async def versions(self, home: Home) -> Sequence[int]:
        found = [FILE_NAME.fullmatch(name) for name in await self._names(home)]
        return sorted(int(each[1]) for each in found if each)

    async def read(self, home: Home, version: int) -> bytes:
        data, _ = await self._get(_path(home, version))
        return data

    async def create(self, home: Home, version: int, data: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError

        try:
            await self._put(_path(home, version), data, "create")
        except AlreadyExistsError:
            return False
        return True

    async def replace(self, home: Home, version: int, old: bytes, new: bytes) -> bool:
        from obstore.exceptions import PreconditionError

        path = _path(home, version)
        try:
            found, tag = await self._get(path)
            if found != old:
                return False
            await self._put(path, new, {"e_tag": tag})
        except (NotFound, PreconditionError):
            return False
        return True

    async def remove(self, home: Home) -> None:
        import obstore

        for _ in range(_REMOVE_ROUNDS):
            names = await self._names(home)
            if not names:
                return
            for name in names:
                path = f"{_folder(home)}/{name}"
                await _tried(obstore.delete_async(self._store(), path))
        raise Unavailable("Tenant keys are made faster than they can be removed.")

    async def bar(self, home: Home) -> None:
        from obstore.exceptions import AlreadyExistsError

        with contextlib.suppress(AlreadyExistsError):
            await self._put(f"{_folder(home)}{BARRED}", b"", "create")

    async def barred(self, home: Home) -> bool:
        try:
            await self._get(f"{_folder(home)}{BARRED}")
        except NotFound:
            return False
        return True

    async def check(self) -> None:
        import obstore

        path = f".check-{secrets.token_hex(8)}"
        await self._put(path, b"", "create")
        await _tried(obstore.delete_async(self._store(), path))

    async def _names(self, home: Home) -> list[str]:
        import obstore

        async def listed() -> list[str]:
            pages = obstore.list(self._store(), f"{_folder(home)}/")
            return [item["path"].rpartition("/")[2] async for page in pages for item in page]

        return await _tried(listed())

    async def _get(self, path: str) -> tuple[bytes, str | None]:
        import obstore

        found = await _tried(obstore.get_async(self._store(), path))
        if found.meta["size"] > KEY_FILE_BYTES_MAX:
            raise Unavailable("A file of the key store is too large to be a key.")
        return bytes(await _tried(found.bytes_async())), found.meta["e_tag"]

    async def _put(self, path: str, data: bytes, mode: Any) -> None:
        import obstore

        result = await _tried(obstore.put_async(self._store(), path, data, mode=mode))
        if result["version"] not in (None, "null"):
            if mode == "create":  # a key that nothing was sealed with; what replaces stays
                await _tried(obstore.delete_async(self._store(), path))
            raise Unavailable(_KEEPS)

    def _store(self) -> Any:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Any:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        try:
            return S3Store(
                self._bucket,
                prefix=self._prefix or None,
                # Clear HTTP only where an operator's own endpoint says so; Amazon's is https.
                client_options={"timeout": timedelta(seconds=TIMEOUT_S), "allow_http": True},
                retry_config={
                    "max_retries": RETRIES,
                    "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S),
                },
            )
        except BaseError as error:
            raise _unreachable(error) from None


def _folder(home: Home) -> str:
    check_names(home)
    return f"{home.account}/keys/{home.tenant_id}"


def _path(home: Home, version: int) -> str:
    return f"{_folder(home)}/{version}.json"


async def _tried(work: Awaitable[T]) -> T:
    """Conflicts of conditional writes pass; the rest becomes one of our errors."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        return await work
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, OSError) as error:
        if code_of(error) == "NoSuchBucket":
            raise Unavailable("The key store's bucket does not exist.") from None
        if isinstance(error, FileNotFoundError):
            raise NotFound(NO_KEY) from None
        raise _unreachable(error) from None


def _unreachable(error: Exception) -> Unavailable:
    """The provider's own words are for the operator, without a URL that may carry a signature."""
    _log.warning("the key store is out of reach: %s", first_words(error))
    return Unavailable("The key store's bucket is out of reach.")
