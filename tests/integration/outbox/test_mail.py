"""Alerts by mail through a real SMTP server: in clear, over TLS, after STARTTLS."""

import ssl
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.support.ledger import World, in_world
from tests.support.mail_server import Box, mail_server
from tests.support.outbox import StillClock, deliverer, enqueue, outside, run_rounds, states
from tests.support.postgres import Database

from tenantry.adapters.clock import SystemClock
from tenantry.adapters.postgres.alerts import PostgresAlerts
from tenantry.adapters.smtp.server import MailServer
from tenantry.adapters.smtp.sink import MailSink
from tenantry.application.delivery import ALERTS
from tenantry.domain.usage import Usage
from tenantry.ports.control import Budget
from tenantry.ports.delivery import Route

ROUTE = Route("mail", ALERTS)
TO = ["oncall@example.org", "ops@example.org"]


def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def sink_of(url: str, ca_bundle: Path | None = None) -> MailSink:
    return MailSink(MailServer.from_url(url, ca_bundle), "alerts@example.com", TO, env="staging")


def test_an_alert_is_a_legible_mail_under_one_message_id(database: Database) -> None:
    async def body(world: World) -> None:
        clock, box = StillClock(), Box(refuse=["451 try again"])
        async with mail_server(box) as port:
            sink = sink_of(f"smtp://127.0.0.1:{port}")
            worker = deliverer(world, outside(ROUTE, mail=sink), clock)
            told = {"tenant": "acme", "excess": 1_200, "hour": {"from": "15:00", "to": "16:00"},
                    "due": None, "hard": False}  # fmt: skip
            await enqueue(world, "usage.spike", told, tenant_id=world.anna.tenant_id)
            await enqueue(world, "invoice.finalised", {"number": "INV-1"})
            await run_rounds(worker)
            assert await states(world) == [("mail", "pending", 1, "the mail server answered 451")]
            clock.pass_by(seconds=5)
            await run_rounds(worker)
            [mail] = box.mails
            [(notice_id, created_at)] = await world.fetch(
                "SELECT notice_id, created_at FROM notice WHERE kind = 'usage.spike'"
            )
            assert mail["subject"] == "[tenantry staging] usage spike: acme"
            assert mail["from"] == "alerts@example.com"
            assert mail["to"] == ", ".join(TO)
            assert mail["message-id"] == f"<{notice_id}@example.com>"
            assert mail.get_content_type() == "text/plain"
            head, facts = mail.get_content().replace("\r", "").split("\n\n")
            assert head.splitlines() == [
                "kind: usage.spike",
                f"tenant: acme ({world.anna.tenant_id})",
                f"time: {created_at:%Y-%m-%d %H:%M:%S} UTC",
                "deployment: staging",
                f"notice: {notice_id}",
            ]
            assert facts.splitlines() == [
                "hard: no",
                "excess: 1200",
                "hour.from: 15:00",
                "hour.to: 16:00",
            ]
            sink.close()
            assert box.envelopes[0][0].rcpt_tos == TO

    in_world(database, body)


def test_a_refusing_budget_reads_as_a_person_would_say_it(database: Database) -> None:
    async def body(world: World) -> None:
        box, anna = Box(), world.anna
        limit = Decimal("0.0412345678901")
        for who in (anna, world.bert):
            budget = Budget(who.tenant_id, "run", "nightly-report", "total", "charge", limit, True)
            await world.control.set_budget(budget)
        used = Usage(uncached_in=1_000)  # charge .009
        await world.settle(await world.admitted(run_id="nightly-report"), world.outcome(used))
        alerts = PostgresAlerts(world.databases.control, SystemClock())
        refused = await world.refused(run_id="nightly-report", worst_charge=limit)
        assert await alerts.raise_refused(anna.tenant_id, refused)
        async with mail_server(box) as port:
            sink = sink_of(f"smtp://127.0.0.1:{port}")
            await run_rounds(deliverer(world, outside(ROUTE, mail=sink), StillClock()))
            sink.close()
        [mail] = box.mails
        name = anna.tenant.name
        said = f"{name}, run nightly-report: a budget without end refuses requests"
        assert mail["subject"] == f"[tenantry staging] budget refused: {said}"
        [(notice_id, created_at)] = await world.fetch("SELECT notice_id, created_at FROM notice")
        [alert] = await alerts.alerts()
        assert mail.get_content().splitlines() == [
            f"{said}, 0.009 of 0.0412345678901 USD settled",
            "",
            "severity: critical",
            "kind: budget.refused",
            f"tenant: {name} ({anna.tenant_id})",
            f"time: {created_at:%Y-%m-%d %H:%M:%S} UTC",
            "deployment: staging",
            f"notice: {notice_id}",
            "",
            "subject: run:nightly-report",
            "period: total",
            "basis: charge",
            "observed: 0.009 USD",
            "expected: 0.0412345678901 USD",
            "hard: yes",
            "",
            f"Say that someone sees to it: tenantry alerts acknowledge {alert.id}",
        ]

    in_world(database, body)


def test_no_words_of_a_notice_become_a_header_or_another_receiver(database: Database) -> None:
    async def body(world: World) -> None:
        box = Box()
        async with mail_server(box) as port:
            sink = sink_of(f"smtp://127.0.0.1:{port}")
            evil = "acme\r\nBcc: thief@example.net\r\n\r\n.\r\nMAIL FROM:<x@example.net>\u2028Žofie"
            told = {"tenant": evil, evil: evil, "long": "x" * 10_000, "z" * 120: list(range(500))}
            await enqueue(world, "usage.spike", told)
            await run_rounds(deliverer(world, outside(ROUTE, mail=sink), StillClock()))
            [mail] = box.mails
            assert mail["bcc"] is None
            assert "\n" not in mail["subject"]
            assert "thief@example.net" in mail["subject"], "said, and harmless"
            assert box.envelopes[0][0].rcpt_tos == TO
            assert "Žofie" in mail.get_content()
            lines = mail.get_content().splitlines()
            assert len(lines) < 220
            assert max(map(len, lines)) <= 500
            sink.close()

    in_world(database, body)


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_over_tls_with_a_login(database: Database, tmp_path: Path, scheme: str) -> None:
    async def body(world: World) -> None:
        clock, box, authority = StillClock(), Box(), trustme.CA()
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        options: dict[str, Any] = {"authenticator": box.authenticate}
        if scheme == "smtps":
            options |= {"ssl_context": tls(authority), "auth_require_tls": False}
        else:
            options |= {"tls_context": tls(authority), "auth_required": True}
        async with mail_server(box, **options) as port:
            for user, trusted, error in (
                ("ops:p%40ss%3Aword", None, "the mail server failed: SSLCertVerificationError"),
                ("ops:wrong", bundle, "the mail server refused user and password"),
                ("ops:p%40ss%3Aword", bundle, None),
            ):
                sink = sink_of(f"{scheme}://{user}@127.0.0.1:{port}", trusted)
                await enqueue(world, "usage.leak")
                await run_rounds(deliverer(world, outside(ROUTE, mail=sink), clock))
                assert error in {each[3] for each in await states(world)}
                sink.close()
            assert len(box.mails) == 1
            assert box.logins[-1] == (b"ops", b"p@ss:word")

    in_world(database, body)


def test_a_server_that_is_away_is_tried_again(database: Database) -> None:
    async def body(world: World) -> None:
        sink = sink_of("smtp://127.0.0.1:1")
        await enqueue(world)
        await run_rounds(deliverer(world, outside(ROUTE, mail=sink), StillClock()))
        error = "the mail server failed: ConnectionRefusedError"
        assert await states(world) == [("mail", "pending", 1, error)]
        sink.close()

    in_world(database, body)
