"""Hands notices to a mail server. How they read is in `words.py`."""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from tenantry.adapters.smtp.header import SubjectHeader
from tenantry.adapters.smtp.server import MailServer
from tenantry.adapters.smtp.words import subject, text
from tenantry.ports.delivery import Delivery, DeliveryFailed

THREADS: Final = 8  # of its own: a slow server holds up nobody else's
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")


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
        mail["Subject"] = SubjectHeader(subject(delivery, self._env))
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
