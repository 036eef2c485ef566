"""Root keys in AWS KMS, by boto3 (extra `aws`): the shared one, and tenants' own.

The shared key is the operator's and named by its ARN. A tenant's own key is made in the account of
its placement and the shared key's region, under the alias `alias/tenantry/own-<tenant>`. What it
wraps is bound by the encryption context to tenant, key and version; CloudTrail shows the context.

| KMS says | we say |
|---|---|
| invalid ciphertext, another key | Corrupt |
| disabled, pending deletion, not found, access denied | Unavailable, with the reason |
| throttled, internal, out of reach, after `ATTEMPTS` | Unavailable |
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, TypeVar

from tenantry.adapters.keys.retirements import together
from tenantry.domain.errors import Conflict, Corrupt, Unavailable
from tenantry.domain.extras import extra_of
from tenantry.domain.kms_arn import KmsArn, kms_arn
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName, Retirement, WrappedKey

THREADS: Final = 8  # calls at once
CALLS_MAX: Final = 512  # under way and waiting; more are refused
CLIENTS_MAX: Final = 512  # accounts × regions
CONNECT_TIMEOUT_S: Final = 2
READ_TIMEOUT_S: Final = 3
ATTEMPTS: Final = 3  # of one call, with botocore's own pauses between
DELETION_DAYS: Final = 30  # KMS waits 7 to 30 days before it deletes a key
ALIAS_PREFIX: Final = "alias/tenantry/"
_PENDING: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
_CORRUPT: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_TOLD: Final[Mapping[str, str]] = {
    "DisabledException": "The KMS key is disabled.",
    "KMSInvalidStateException": "The KMS key is about to be deleted, or is not ready.",
    "NotFoundException": "The KMS key does not exist.",
    "AccessDeniedException": "AWS KMS does not let us use the KMS key.",
    "UnrecognizedClientException": "AWS KMS refused our credentials.",
    "InvalidClientTokenId": "AWS KMS refused our credentials.",
    "InvalidSignatureException": "AWS KMS refused our credentials.",
    "ExpiredTokenException": "Our credentials for AWS KMS have expired.",
    "ThrottlingException": "AWS KMS is throttled; try again shortly.",
    "LimitExceededException": "A quota of AWS KMS is used up.",
}
_SHARED: Final = "The shared KMS key cannot be retired: other tenants need it."
_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Root:
    """A tenant's own root key. `key`: what KMS says of it; None: it is gone. `is_ours`: made by us
    for this tenant alone, as far as anybody can tell by its tags."""

    arn: str
    key: Mapping[str, Any] | None
    is_ours: bool

    @property
    def is_retired(self) -> bool:
        return self.key is None or self.key["KeyState"] in _PENDING


class AwsKms:
    """`ports.keys.KmsKeys`. Without `shared` it only opens what was wrapped before.

    `credentials` by account, with the names of `boto3.Session`; for the shared key's account AWS's
    usual chain is asked where there are none.
    """

    def __init__(
        self,
        shared: KmsArn | None,
        credentials: Mapping[str, Mapping[str, str]],
        *,
        endpoint_url: str | None = None,
        deletion_days: int = DELETION_DAYS,
    ) -> None:
        self._shared = shared
        self._credentials = credentials
        self._endpoint_url = endpoint_url
        self._deletion_days = deletion_days
        self._clients: dict[tuple[str, str], Any] = {}
        self._own: dict[KmsArn, str] = {}  # ARNs of keys by alias, while KMS still spreads them
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._calls = 0

    async def create(self, account: str, key_id: str) -> None:
        if key_id != SHARED_KMS_KEY:
            await self._call(functools.partial(self._create, account, key_id))

    async def wrap(self, account: str, name: KeyName, key: bytes) -> WrappedKey:
        def call() -> WrappedKey:
            arn = self._arn(account, name.kms_key)
            answer = self._client(arn).encrypt(
                KeyId=self._own.get(arn, str(arn)),
                Plaintext=key,
                EncryptionContext=_context(name),
            )
            return WrappedKey(name, answer["KeyId"], answer["CiphertextBlob"])

        return await self._call(call)

    async def unwrap(self, account: str, wrapped: WrappedKey) -> bytes:
        def call() -> bytes:
            arn = _arn_of(wrapped.arn or "")
            answer = self._client(arn).decrypt(
                KeyId=str(arn),
                CiphertextBlob=wrapped.wrapped,
                EncryptionContext=_context(wrapped.name),
            )
            return bytes(answer["Plaintext"])

        return await self._call(call)

    async def try_out(self, wrapped: WrappedKey) -> None:
        """Raises what `unwrap` would, and opens nothing: AWS decides, and does not decrypt."""

        def call() -> None:
            arn = _arn_of(wrapped.arn or "")
            client = self._client(arn)
            with contextlib.suppress(client.exceptions.DryRunOperationException):  # it would
                client.decrypt(
                    KeyId=str(arn),
                    CiphertextBlob=wrapped.wrapped,
                    EncryptionContext=_context(wrapped.name),
                    DryRun=True,
                )

        await self._call(call)

    async def retirable(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Collection[str]:
        """Those whose tags say that we made them for this key id and that are not retired yet."""
        roots = await self._roots(account, key_id, arns, sure)
        return [each.arn for each in roots if each.is_ours and not each.is_retired]

    async def named_by(self, arns: Collection[str]) -> Collection[str]:
        """By its aliases, which are of its own account and region."""
        calls = [functools.partial(self._key_ids, each) for each in arns]
        return {key_id for each in calls for key_id in await self._call(each)}

    async def retire(
        self, account: str, key_id: str, arns: Collection[str] = (), *, sure: bool = True
    ) -> Retirement | None:
        """Without `shared` nothing says in which region an alias would be: `arns` alone."""
        roots = await self._roots(account, key_id, arns, sure)
        calls = [functools.partial(self._retire, each) for each in roots]
        return together([await self._call(each) for each in calls])

    async def _roots(
        self, account: str, key_id: str, arns: Collection[str], sure: bool
    ) -> Sequence[_Root]:
        """The tenant's own root keys, each once. Conflict where one is the shared key as well."""
        if key_id == SHARED_KMS_KEY:
            raise Conflict(_SHARED)
        found = {}
        for arn in arns:
            root = await self._call(functools.partial(self._root, key_id, arn))
            found[root.arn] = root
        if self._shared is not None:
            alias = functools.partial(self._behind_alias, account, key_id, sure=sure)
            behind = await self._call(alias)
            if behind is not None:
                found[behind.arn] = behind
            if any(root.is_ours for root in found.values()):
                shared = await self._call(functools.partial(self._resolved, self._shared))
                if shared in found and found[shared].is_ours:
                    raise Conflict(_SHARED)
        return list(found.values())

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _create(self, account: str, key_id: str) -> None:
        alias = self._arn(account, key_id)
        client = self._client(alias)
        if alias in self._own or _described(client, alias) is not None:
            return
        made = client.create_key(
            Description="Wraps the key of one Tenantry tenant",
            Tags=[{"TagKey": tag, "TagValue": told} for tag, told in _tags(key_id).items()],
        )["KeyMetadata"]
        try:
            client.create_alias(AliasName=alias.resource, TargetKeyId=made["KeyId"])
        except client.exceptions.AlreadyExistsException:
            # Another process was first, and ours never wrapped anything.
            client.schedule_key_deletion(
                KeyId=made["KeyId"], PendingWindowInDays=self._deletion_days
            )
        else:
            self._own[alias] = made["Arn"]

    def _root(self, key_id: str, text: str) -> _Root:
        """One that is gone by now was there."""
        arn = _arn_of(text)
        client = self._client(arn)
        key = _described(client, arn)
        return _Root(str(arn), None, True) if key is None else _told_of(client, key_id, key)

    def _key_ids(self, text: str) -> Collection[str]:
        pages = self._client(_arn_of(text)).get_paginator("list_aliases").paginate(KeyId=text)
        names = [str(alias["AliasName"]) for page in pages for alias in page["Aliases"]]
        return [n.removeprefix(ALIAS_PREFIX) for n in names if n.startswith(ALIAS_PREFIX)]

    def _behind_alias(self, account: str, key_id: str, *, sure: bool) -> _Root | None:
        try:
            alias = self._arn(account, key_id)
            client = self._client(alias)
        except Unavailable:
            if sure:
                raise
            return None
        try:
            key = _described(client, alias)
        except client.exceptions.ClientError as error:
            if sure or not _refused(error):
                raise
            return None
        return None if key is None else _told_of(client, key_id, key)

    def _resolved(self, arn: KmsArn) -> str:
        """The ARN of the key itself, where it is an alias's and AWS lets us look."""
        if not arn.resource.startswith("alias/"):
            return str(arn)
        client = self._client(arn)
        try:
            key = _described(client, arn)
        except client.exceptions.ClientError as error:
            if _refused(error):
                return str(arn)
            raise
        return str(arn) if key is None else str(key["Arn"])

    def _retire(self, root: _Root) -> Retirement:
        if not root.is_ours:
            return Retirement(disabled=False, deletion_at=None, left=(root.arn,))
        if root.key is None:
            return Retirement(disabled=True, deletion_at=None)
        if root.is_retired:
            at = root.key["DeletionDate"].astimezone(UTC)
            return Retirement(disabled=True, deletion_at=at)
        client = self._client(_arn_of(root.arn))
        client.disable_key(KeyId=root.arn)
        answer = client.schedule_key_deletion(
            KeyId=root.arn, PendingWindowInDays=self._deletion_days
        )
        return Retirement(disabled=True, deletion_at=answer["DeletionDate"].astimezone(UTC))

    def _arn(self, account: str, key_id: str) -> KmsArn:
        """Of the shared key as it is configured, or of the alias of a tenant's own."""
        if self._shared is None:
            raise Unavailable("No AWS KMS key is configured.")
        if key_id == SHARED_KMS_KEY:
            return self._shared
        resource = f"{ALIAS_PREFIX}{key_id}"
        arn = KmsArn(self._shared.partition, self._shared.region, account, resource)
        try:
            return kms_arn(str(arn))
        except ValueError:
            raise Unavailable("The name of a KMS key is not valid.") from None

    def _client(self, arn: KmsArn) -> Any:
        """In a thread: the first call of a process imports boto3."""
        where = (arn.account, arn.region)
        with self._lock:
            if where not in self._clients:
                if len(self._clients) >= CLIENTS_MAX:
                    raise Unavailable(f"More than {CLIENTS_MAX} accounts and regions of KMS keys.")
                self._clients[where] = self._connect(arn)
            return self._clients[where]

    def _connect(self, arn: KmsArn) -> Any:
        import boto3
        from botocore.config import Config

        given = self._credentials.get(arn.account)
        if given is None and (self._shared is None or arn.account != self._shared.account):
            raise Unavailable("There are no credentials for the account of the KMS key.")
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=THREADS,
        )
        # At DEBUG botocore writes whole requests and answers down, and with them tenant keys.
        logging.getLogger("botocore").setLevel(logging.INFO)
        session = boto3.Session(region_name=arn.region, **(given or {}))
        return session.client("kms", endpoint_url=self._endpoint_url, config=config)

    async def _call(self, work: Callable[[], T]) -> T:
        if self._calls >= CALLS_MAX:
            raise Unavailable("Too many calls to AWS KMS at once; try again in a moment.")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aws-kms")
        self._calls += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _told, work)
        finally:
            self._calls -= 1


def _told(work: Callable[[], T]) -> T:
    """A call with its failures in our words; the cause is cut off, so that no request is shown."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    except ImportError:
        raise Unavailable(f"AWS KMS needs {extra_of('aws')}.") from None
    try:
        return work()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))[:100]
        if code in _CORRUPT:
            raise Corrupt("A wrapped key does not open under its KMS key.") from None
        _log.warning("AWS KMS refused %s: %s", error.operation_name, code)
        told = _TOLD.get(code, f"AWS KMS refused a call: {code}.")
        raise Unavailable(told, kms_error=code) from None
    except NoCredentialsError:
        raise Unavailable("There are no AWS credentials for AWS KMS.") from None
    except BotoCoreError as error:
        _log.warning("AWS KMS is out of reach: %s", type(error).__name__)
        raise Unavailable("AWS KMS is out of reach.") from None


def _arn_of(text: str) -> KmsArn:
    try:
        return kms_arn(text)
    except ValueError:
        raise Corrupt("A wrapped tenant key names no KMS key.") from None


def _described(client: Any, alias: KmsArn) -> Mapping[str, Any] | None:
    """The metadata of the key behind an alias; None where there is none."""
    try:
        found: Mapping[str, Any] = client.describe_key(KeyId=str(alias))["KeyMetadata"]
    except client.exceptions.NotFoundException:
        return None
    return found


def _told_of(client: Any, key_id: str, key: Mapping[str, Any]) -> _Root:
    arn = str(key["Arn"])
    try:
        answer = client.list_resource_tags(KeyId=arn)
    except client.exceptions.ClientError as error:
        if not _refused(error):
            raise
        raise Unavailable(
            f"AWS KMS does not let us read the tags of {arn} (kms:ListResourceTags), which say"
            " whether it was made for this tenant alone."
        ) from None
    tags = {each["TagKey"]: each["TagValue"] for each in answer.get("Tags", ())}
    return _Root(arn, key, _tags(key_id).items() <= tags.items())


def _refused(error: Any) -> bool:
    return bool(error.response["Error"]["Code"] == "AccessDeniedException")


def _tags(key_id: str) -> dict[str, str]:
    """What a key that we made for a tenant says of itself."""
    return {"tenantry:managed": "true", "tenantry:kms-key": key_id}


def _context(name: KeyName) -> dict[str, str]:
    return {
        "tenantry:tenant": name.tenant_id,
        "tenantry:kms-key": name.kms_key,
        "tenantry:version": str(name.version),
    }
