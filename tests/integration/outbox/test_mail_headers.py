"""Words of others in a mail's headers, as they go over the wire."""

from __future__ import annotations

import asyncio
import email
import re
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mail_server import Box, mail_server

from tenantry.adapters.smtp.header import SubjectHeader
from tenantry.adapters.smtp.server import MailServer
from tenantry.adapters.smtp.sink import MailSink
from tenantry.adapters.smtp.words import subject
from tenantry.domain.ids import TenantId
from tenantry.ports.delivery import Delivery

NONE = UUID(int=0)
AT = datetime(2026, 12, 1, tzinfo=UTC)
TO = ["oncall@example.org", "ops@example.org"]
OURS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type",
    "Content-Transfer-Encoding", "MIME-Version",
]  # fmt: skip
NAMES = (
    "=?utf-8?q?a=0d=0aReply-To:_evil=40x=0d=0a=0d=0aCall_555?=",
    "=?utf-8?q?a=0aBcc:_evil=40x?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAeA==?=",
    "=?utf-8?q?hi?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fhi=3F=3D?=",
    "=?utf-8?q?=ff?= =?x?q?y?= =?us-ascii?q?=00?=",
    "a =?utf-8?q?",
    'acme, Inc. "Q" <x@y>; (z) [w] \\',
    "acme\r\nBcc: thief@example.net",
    "Łódź GmbH =?utf-8?q?hi?=",
    "株式会社" * 20,
    "é" * 40 + " " + "日本" * 30,
    "a  b   c",
    "x" * 150,
)


def delivery(name: str) -> Delivery:
    body = {"alert_id": "alr_1", "tenant": "tnt_1", "tenant_name": name, "summary": f"{name}: x",
            "headline": f"{name}: a month's budget refuses requests"}  # fmt: skip
    return Delivery(TenantId("tnt_1"), NONE, "mail", "budget.refused", body, AT, 1, AT, NONE, AT)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_tenant_writes_no_header_and_is_read_as_it_is(name: str) -> None:
    async def run() -> None:
        box, told = Box(), delivery(name)
        async with mail_server(box) as port:
            server = MailServer.from_url(f"smtp://127.0.0.1:{port}")
            sink = MailSink(server, "alerts@example.com", TO, env="local")
            await sink.deliver(told)
            sink.close()
        [(envelope, _)] = box.envelopes
        sent: Any = email.message_from_bytes(envelope.content)
        assert sent.keys() == OURS
        assert sent["To"] == ", ".join(TO)
        assert read(sent["Subject"]) == subject(told, "local")
        assert all(len(line) <= 150 and line.isascii() for line in sent["Subject"].splitlines())
        [mail] = box.mails
        assert mail["Subject"] == subject(told, "local")
        shown = name.replace("\r", " ").replace("\n", " ")
        assert f"tenant: {shown} (tnt_1)" in mail.get_content().splitlines()

    asyncio.run(run())


def read(header: str) -> str:
    """As who reads the mail has it: unfolded (RFC 5322), then decoded (RFC 2047)."""
    return str(make_header(decode_header(re.sub(r"\r?\n", "", header))))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_any_line_is_read_as_it_was_said(line: str) -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail["Subject"] = SubjectHeader(line)
    mail.set_content("body")
    sent: Any = email.message_from_bytes(mail.as_bytes())
    assert sent.keys() == ["Subject", *OURS[-3:]]
    assert read(sent["Subject"]) == line
