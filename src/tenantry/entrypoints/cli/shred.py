"""`tenantry tenants shred`: the end of a tenant, to its certificate."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import click

from tenantry.application.shredding import Progress, Shredder, advance_shred, begin_shred
from tenantry.bootstrap.commands.shredding import Look, archive_signer, shredding
from tenantry.domain.shred import (
    CertificateBroken,
    certificate_text,
    document_of,
    signed_content,
)
from tenantry.entrypoints.cli.confirming import answer, who
from tenantry.entrypoints.cli.output import as_json, print_json, say, say_lines
from tenantry.entrypoints.cli.values import FILE, NAMED

POLL_S: Final = 0.5
WAIT_S: Final = 3_600


@click.command()
@click.argument("tenant", type=NAMED, required=False)
@click.option(
    "--yes", "name", type=NAMED, metavar="NAME", help="The tenant's name again, in place of asking."
)
@click.option(
    "--gone",
    type=NAMED,
    multiple=True,
    metavar="HOST",
    help="A host whose processes are gone for sure though none was seen to end; repeatable.",
)
@click.option(
    "--wait-s",
    type=click.IntRange(0),
    default=WAIT_S,
    show_default=True,
    help="Wait so long for the certificate; the worker goes on after that.",
)
@click.option(
    "--verify",
    "file",
    type=FILE,
    help="Check a certificate that this deployment signed; nothing is shredded.",
)
@as_json
def shred(
    tenant: str | None,
    name: str | None,
    gone: tuple[str, ...],
    wait_s: int,
    file: Path | None,
    json_output: bool,
) -> None:
    """Destroy a tenant's keys for good, roll every worker, erase its content, certify.

    There is no way back. Run it again to go on where it was cut off, and for its certificate.

    Example: `tenantry tenants shred acme --yes acme`
    """
    if file is not None:
        _verify(file)
        return
    if tenant is None:
        raise click.UsageError("Missing argument 'TENANT'.")
    which = tenant

    async def to_ask(shredder: Shredder, _: Look) -> str | None:
        """The name to ask for; None where it was begun."""
        found = await shredder.control.get_tenant(which)
        return None if await shredder.book.get(found.id) else found.name

    async def work(shredder: Shredder, look: Look) -> dict[str, Any]:
        begun = await begin_shred(shredder, which, confirmed or "", who())
        for host in gone:
            count = await shredder.holders.declare_gone(host)
            say(f"{host}: {count} processes are taken for gone", err=True)
        shred = (await _until_certified(shredder, look, begun.tenant_id, wait_s)).shred
        assert shred.certificate is not None and shred.signature is not None
        return document_of(shred.certificate, shred.signature, shredder.signer.public_key)

    with shredding() as run:
        confirmed = name
        # Asked outside a loop, which would keep Ctrl-C from the question.
        if confirmed is None and (asked := run(to_ask)) is not None:
            confirmed = _asked(asked)
        document = run(work)
    if json_output:
        print_json(document)
    else:
        say_lines(certificate_text(document))


async def _until_certified(shredder: Shredder, look: Look, tenant_id: Any, wait_s: int) -> Progress:
    deadline, told = time.monotonic() + wait_s, ""
    while True:
        await look()
        progress = await advance_shred(shredder, tenant_id)
        if progress.shred.step == "certified":
            return progress
        waits = progress.waits()
        if waits != told:
            say(waits, err=True)
            told = waits
        if time.monotonic() >= deadline:
            raise click.ClickException(
                f"not finished yet: {waits}; the background worker goes on, and so does this"
                " command when it is run again"
            )
        await asyncio.sleep(POLL_S)


def _asked(name: str) -> str:
    say(
        f"This destroys the keys of {name!r} for good. Its documents, answers and kept results"
        " cannot be read by anybody afterwards; invoices and ledger stay.",
        err=True,
    )
    typed = answer("Type the tenant's name to go on", instead="--yes NAME")
    if typed != name:
        raise click.ClickException("that is not the tenant's name; nothing was shredded")
    return typed


def _verify(file: Path) -> None:
    try:
        document = json.loads(file.read_text("utf-8"))
        content, signature, public_key = signed_content(document)
    except (CertificateBroken, ValueError) as problem:
        raise click.ClickException(f"{file}: {problem}") from None
    signer = archive_signer()
    if public_key != signer.public_key or not signer.verifies(content.encode(), signature):
        raise click.ClickException(f"{file}: the signature is not of this deployment's key")
    told = document["content"]
    say(f"{told['tenant']['name']} ({told['tenant']['id']}): {told['mode']},")
    say(f"effective {told['effective_at']}, certified {told['certified_at']}; signature good")
