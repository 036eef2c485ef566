"""A notice as a mail that a person on call can read on a telephone."""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

from tenantry.adapters.smtp.server import MailServer
from tenantry.ports.delivery import Delivery, DeliveryFailed

THREADS: Final = 8  # of its own: a slow server holds up nobody else's
LINES_MAX: Final = 200
LINE_CHARACTERS_MAX: Final = 500
SUBJECT_CHARACTERS_MAX: Final = 120
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_TO_SPACES = dict.fromkeys((*range(32), 127, 0x85, 0x2028, 0x2029), " ")


class MailSink:
    """Hands each notice in once for all receivers; the same notice has the same Message-ID."""

    def __init__(
        self, server: MailServer, sender: str, receivers: Sequence[str], *, env: str
    ) -> None:
        self._server = server
        self._sender = address(sender)
        self._receivers = [address(each) for each in receivers]
        self._env = env
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="smtp")

    async def deliver(self, delivery: Delivery) -> None:
        mail = self._mail(delivery)
        to = [each.addr_spec for each in self._receivers]
        try:
            loop = asyncio.get_running_loop()
            refused = await loop.run_in_executor(self._threads, self._server.send, mail, to)
        except smtplib.SMTPAuthenticationError:
            raise DeliveryFailed("the mail server refused user and password") from None
        except smtplib.SMTPResponseException as answer:
            raise DeliveryFailed(f"the mail server answered {answer.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as failure:
            raise DeliveryFailed(f"the mail server failed: {type(failure).__name__}") from None
        if refused:  # the others have it; once more would be once too often for them
            names = ", ".join(sorted(refused))
            raise DeliveryFailed(f"the mail server refused {names[:300]}", final=True)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _mail(self, delivery: Delivery) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = self._receivers
        mail["Subject"] = subject(delivery, self._env)
        mail["Date"] = format_datetime(delivery.created_at)
        mail["Message-ID"] = f"<{delivery.notice_id}@{self._sender.domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join(text(delivery, self._env)) + "\n")
        return mail


def address(given: str) -> Address:
    """Raises `ValueError` where it is no address, or holds what could begin another header."""
    if not _ADDRESS.fullmatch(given):
        raise ValueError("is no mail address")
    return Address(addr_spec=given)


def subject(delivery: Delivery, env: str) -> str:
    """`[tenantry local] budget threshold: acme`: what, and who, in one line."""
    what = delivery.kind.replace(".", " ").replace("_", " ")
    told = delivery.body.get("summary") or delivery.body.get("tenant") or delivery.tenant_id
    line = f"[tenantry {env}] {what}" + (f": {told}" if isinstance(told, str) and told else "")
    return line.translate(_TO_SPACES)[:SUBJECT_CHARACTERS_MAX]


def text(delivery: Delivery, env: str) -> Iterator[str]:
    """One line for each fact, nested names joined by dots."""
    yield f"kind: {delivery.kind}"
    if delivery.tenant_id:
        yield f"tenant_id: {delivery.tenant_id}"
    yield f"time: {delivery.created_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"deployment: {env}"
    yield f"notice: {delivery.notice_id}"
    yield ""
    for number, line in enumerate(_facts("", delivery.body)):
        if number >= LINES_MAX:
            yield "… and more; the notice has all of it"
            return
        yield line


def _facts(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _facts(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _facts(f"{name}[{number}]", inner)
    else:
        shown = "–" if value is None else str(value)
        yield f"{name}: {shown}".translate(_TO_SPACES)[:LINE_CHARACTERS_MAX]
