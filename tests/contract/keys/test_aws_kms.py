"""What AWS KMS alone has: ARNs, accounts, credentials, an encryption context, retries."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.support.aws_server import ACCOUNT, KEYS, REGION, AwsServer

from tenantry.adapters.keys import aws_kms
from tenantry.adapters.keys.aws_kms import AwsKms
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.domain.ids import TenantId
from tenantry.domain.kms_arn import kms_arn
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName, Retirement, WrappedKey

KEY = bytes(range(32))
NAME = KeyName(TenantId("tnt_a"), 3, SHARED_KMS_KEY)
OTHER_ACCOUNT = "210987654321"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1dccb5fd-d2ed-4682-8ff5-f92ff116a384"


def kms_at(url: str, arn: str | None, **options: object) -> AwsKms:
    shared = None if arn is None else kms_arn(arn)
    return AwsKms(shared, {ACCOUNT: KEYS}, endpoint_url=url, **options)  # type: ignore[arg-type]


def test_the_encryption_context_names_tenant_key_and_version(aws: AwsServer) -> None:
    arn = aws.kms_key()
    kms = kms_at(aws.url, arn)
    wrapped = asyncio.run(kms.wrap(ACCOUNT, NAME, KEY))
    kms.close()
    assert wrapped.arn == arn
    context = {
        "tenantry:tenant": "tnt_a",
        "tenantry:kms-key": "shared",
        "tenantry:version": "3",
    }
    client = aws.client("kms")
    opened = client.decrypt(CiphertextBlob=wrapped.wrapped, EncryptionContext=context)
    assert opened["Plaintext"] == KEY
    for dropped in context:
        less = {name: value for name, value in context.items() if name != dropped}
        with pytest.raises(client.exceptions.InvalidCiphertextException):
            client.decrypt(CiphertextBlob=wrapped.wrapped, EncryptionContext=less)


def test_no_log_holds_a_key(aws: AwsServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    kms = kms_at(aws.url, aws.kms_key())

    async def run() -> None:
        assert await kms.unwrap(ACCOUNT, await kms.wrap(ACCOUNT, NAME, KEY)) == KEY

    asyncio.run(run())
    kms.close()
    for shown in (base64.b64encode(KEY).decode(), KEY.hex(), repr(KEY)[2:-1]):
        assert shown not in caplog.text


def test_an_alias_wraps_and_what_rests_names_the_key_itself(aws: AwsServer) -> None:
    first, second = aws.kms_key(), aws.kms_key()
    client = aws.client("kms")
    client.create_alias(AliasName="alias/app", TargetKeyId=first)
    kms = kms_at(aws.url, f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/app")

    async def run() -> None:
        before = await kms.wrap(ACCOUNT, NAME, KEY)
        assert before.arn == first
        client.update_alias(AliasName="alias/app", TargetKeyId=second)
        after = await kms.wrap(ACCOUNT, NAME, KEY)
        assert after.arn == second
        for wrapped in (before, after):
            assert await kms.unwrap(ACCOUNT, wrapped) == KEY
        with pytest.raises(Corrupt):
            await kms.unwrap(ACCOUNT, replace(before, arn=second))

    asyncio.run(run())
    kms.close()


def test_a_tenant_s_own_key_has_an_alias_and_tags(aws: AwsServer) -> None:
    kms = kms_at(aws.url, aws.kms_key())
    asyncio.run(kms.create(ACCOUNT, "own-tnt_tagged"))
    kms.close()
    client = aws.client("kms")
    key = client.describe_key(KeyId="alias/tenantry/own-tnt_tagged")["KeyMetadata"]
    tags = client.list_resource_tags(KeyId=key["KeyId"])["Tags"]
    assert {tag["TagKey"]: tag["TagValue"] for tag in tags} == {
        "tenantry:managed": "true",
        "tenantry:kms-key": "own-tnt_tagged",
    }


def test_accounts_without_credentials_are_refused(aws: AwsServer) -> None:
    kms = kms_at(aws.url, aws.kms_key())

    async def run() -> None:
        wrapped = await kms.wrap(ACCOUNT, NAME, KEY)
        assert wrapped.arn is not None
        foreign = replace(wrapped, arn=wrapped.arn.replace(ACCOUNT, OTHER_ACCOUNT))
        with pytest.raises(Unavailable, match="no credentials"):
            await kms.unwrap(ACCOUNT, foreign)
        with pytest.raises(Unavailable, match="no credentials"):
            await kms.create(OTHER_ACCOUNT, "own-tnt_b")
        with pytest.raises(Corrupt, match="names no KMS key"):
            await kms.unwrap(ACCOUNT, replace(wrapped, arn="https://evil.example/key"))

    asyncio.run(run())
    kms.close()


def test_keys_of_before_are_retired_by_their_arns_alone(aws: AwsServer) -> None:
    """After `TENANTRY_KMS=local` nothing says in which region an alias would be."""
    kms, client = kms_at(aws.url, None), aws.client("kms")
    mine, other = aws.kms_key(made_for="own-tnt_moved"), aws.kms_key(made_for="own-tnt_moved")
    client.create_alias(AliasName="alias/tenantry/own-tnt_moved", TargetKeyId=other)

    async def run() -> None:
        assert await kms.retire(ACCOUNT, "own-tnt_moved") is None
        found = await kms.retire(ACCOUNT, "own-tnt_moved", [mine])
        assert found is not None and found.deletion_at is not None
        assert await kms.retire(ACCOUNT, "own-tnt_moved", [mine]) == found
        gone = mine.replace(mine[-4:], "0000")
        assert await kms.retire(ACCOUNT, "own-tnt_moved", [gone]) == Retirement(True, None)
        with pytest.raises(Corrupt, match="names no KMS key"):
            await kms.retire(ACCOUNT, "own-tnt_moved", ["https://evil.example/key"])
        with pytest.raises(Unavailable, match="no credentials"):
            await kms.retire(ACCOUNT, "own-tnt_moved", [mine.replace(ACCOUNT, OTHER_ACCOUNT)])

    asyncio.run(run())
    states = [client.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] for arn in (mine, other)]
    assert states == ["PendingDeletion", "Enabled"]
    kms.close()


def test_without_a_key_of_its_own_it_opens_what_was_wrapped_before(aws: AwsServer) -> None:
    old, local_again = kms_at(aws.url, aws.kms_key()), kms_at(aws.url, None)

    async def run() -> None:
        wrapped = await old.wrap(ACCOUNT, NAME, KEY)
        assert await local_again.unwrap(ACCOUNT, wrapped) == KEY
        with pytest.raises(Unavailable, match="No AWS KMS key"):
            await local_again.wrap(ACCOUNT, NAME, KEY)

    asyncio.run(run())
    old.close()
    local_again.close()


class _Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    codes: list[str]  # of the answers to come; the last one stays
    asked: int

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        kind = type(self)
        kind.asked += 1
        code = kind.codes.pop(0) if len(kind.codes) > 1 else kind.codes[0]
        body = json.dumps({"__type": code, "message": "a-secret"}).encode()
        self.send_response(500 if code == "KMSInternalException" else 400)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a test counts what was asked."""


@pytest.fixture
def refusing() -> Iterator[tuple[str, type[_Refusing]]]:
    handler = type("Handler", (_Refusing,), {"codes": [], "asked": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "told", "asked"),
    [
        ("DisabledException", "is disabled", 1),
        ("KMSInvalidStateException", "about to be deleted", 1),
        ("NotFoundException", "does not exist", 1),
        ("AccessDeniedException", "does not let us", 1),
        ("UnrecognizedClientException", "refused our credentials", 1),
        ("ExpiredTokenException", "have expired", 1),
        ("SomethingNewException", "SomethingNewException", 1),
        ("ThrottlingException", "throttled", 2),
        ("KMSInternalException", "KMSInternalException", 2),
    ],
)
def test_every_refusal_is_told_without_its_words(
    refusing: tuple[str, type[_Refusing]],
    code: str,
    told: str,
    asked: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, handler = refusing
    handler.codes = [code]
    monkeypatch.setattr(aws_kms, "ATTEMPTS", 2)  # one pause, and botocore's first is short
    kms = kms_at(url, ARN)
    with pytest.raises(Unavailable, match=told) as refused:
        asyncio.run(kms.wrap(ACCOUNT, NAME, KEY))
    kms.close()
    assert not isinstance(refused.value, Corrupt)
    assert handler.asked == asked
    assert "a-secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("code", "account", "sure", "told"),
    [
        ("AccessDeniedException", ACCOUNT, True, "does not let us"),
        ("AccessDeniedException", ACCOUNT, False, None),
        ("NotFoundException", OTHER_ACCOUNT, True, "no credentials"),
        ("NotFoundException", OTHER_ACCOUNT, False, None),
        ("KMSInternalException", ACCOUNT, False, "KMSInternalException"),
        ("ExpiredTokenException", ACCOUNT, False, "have expired"),
    ],
)
def test_an_account_that_does_not_let_us_look_has_no_key_unless_one_is_known(
    refusing: tuple[str, type[_Refusing]],
    code: str,
    account: str,
    sure: bool,
    told: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Accounts of tenants that never had a key of their own need no rights in KMS for a shred."""
    url, handler = refusing
    handler.codes = [code]
    monkeypatch.setattr(aws_kms, "ATTEMPTS", 1)
    kms = kms_at(url, ARN)
    if told is None:
        assert asyncio.run(kms.retire(account, "own-tnt_a", sure=sure)) is None
    else:
        with pytest.raises(Unavailable, match=told):
            asyncio.run(kms.retire(account, "own-tnt_a", sure=sure))
    kms.close()


def test_no_answer_is_an_outage_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_kms, "ATTEMPTS", 1)
    monkeypatch.setattr(aws_kms, "READ_TIMEOUT_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        kms = kms_at(f"http://127.0.0.1:{silent.getsockname()[1]}", ARN)
        monkeypatch.setattr(aws_kms, "CALLS_MAX", 4)

        async def run() -> list[str]:
            calls = [kms.wrap(ACCOUNT, NAME, KEY) for _ in range(6)]
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(each, Unavailable) for each in ended)
            return [str(each) for each in ended]

        told = asyncio.run(run())
        kms.close()
    assert sum("out of reach" in each for each in told) == 4
    assert sum("Too many calls" in each for each in told) == 2


@pytest.mark.parametrize(
    "text",
    [
        "local",
        "alias/x",
        "arn:aws:kms:eu-central-1:123456789012:key/",
        "arn:aws:s3:eu-central-1:123456789012:key/1",
        "arn:aws:kms:eu-central-1:1234:key/1",
        "arn:aws:kms:eu-central-1:123456789012:key/1\n",
        "arn:aws:kms:EU:123456789012:alias/x y",
    ],
)
def test_what_is_no_arn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the ARN"):
        kms_arn(text)
    assert str(kms_arn(ARN)) == ARN


def test_a_key_is_tried_out_and_not_opened(aws: AwsServer) -> None:
    """Its state and its context count; what the stand-in cannot do is a dry run."""
    arn, client = aws.kms_key(), aws.client("kms")
    kms = kms_at(aws.url, arn)

    async def run() -> None:
        wrapped = await kms.wrap(ACCOUNT, NAME, KEY)
        await kms.try_out(wrapped)
        with pytest.raises(Corrupt):
            await kms.try_out(replace(wrapped, name=replace(NAME, version=4)))
        client.disable_key(KeyId=arn)
        with pytest.raises(Unavailable, match="disabled"):
            await kms.try_out(wrapped)

    asyncio.run(run())
    kms.close()


@pytest.mark.parametrize("code", ["DryRunOperationException", "AccessDeniedException"])
def test_what_a_dry_run_says_is_whether_it_would_open(
    refusing: tuple[str, type[_Refusing]], code: str
) -> None:
    url, handler = refusing
    handler.codes = [code]
    kms = kms_at(url, ARN)
    tried = kms.try_out(WrappedKey(NAME, ARN, b"w"))
    if code == "AccessDeniedException":
        with pytest.raises(Unavailable, match="does not let us"):
            asyncio.run(tried)
    else:
        asyncio.run(tried)
    kms.close()
