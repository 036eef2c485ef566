"""The formats of `tenantry invoices export`: each turns a document into the bytes of a file."""

from __future__ import annotations

import asyncio
import csv
import functools
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from tenantry.application.invoice_file import FileFormat, invoice_file
from tenantry.bootstrap.papers import papers
from tenantry.domain.invoice import Document, canonical
from tenantry.domain.invoice_parties import tax_words, taxes_of
from tenantry.domain.printable import in_cell
from tenantry.entrypoints.cli.output import write_exact

_COLUMNS = (
    "kind",
    "description",
    "model",
    "token_class",
    "quantity",
    "unit_price",
    "charge",
    "amount",
)
_PRICED = ("service_tiers", "price_keys", "plans", "priced_from")  # of a line of a model
_WHOSE = ("of_start", "of_end", "reason", "exchange_rate")  # of a fee or an adjustment
_FIGURES = frozenset({"quantity", "unit_price", "charge", "amount"})


STANDARD_OUTPUT = Path("-")
OUTPUT = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_BINARY = frozenset({FileFormat.PDF, FileFormat.FOCUS_PARQUET})


def check_screen(form: str, output: Path | None) -> None:
    """Raises `click.UsageError` where a file that is no text would go to a terminal, unasked."""
    if output is None and form in _BINARY and sys.stdout.isatty():
        raise click.UsageError(f"{form} is no text: name a file with -o, or -o -")


def write_out(content: bytes, output: Path | None) -> None:
    """Raises `click.ClickException`, which names the file."""
    if output in (None, STANDARD_OUTPUT):
        write_exact(content)
        return
    try:
        output.write_bytes(content)
    except OSError as refused:  # of a write that fails the system names no file
        raise click.ClickException(f"{output}: {refused.strerror}") from None


def exported(form: str, body: Document, exact: bytes | None) -> bytes:
    """`exact`: a final document's own bytes, which its hash is of."""
    if form == "json":
        return exact if exact is not None else canonical(body)
    return FORMATS[form](body)


def _csv(body: Document) -> bytes:
    """A row a line of the invoice, then tax and credit, so that the amounts sum to what is due. No
    text is a formula in it, and figures stand as they are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        (
            "invoice",
            "status",
            "period_start",
            "period_end",
            "currency",
            *_COLUMNS,
            *_PRICED,
            *_WHOSE,
        )
    )
    period = body["period"]
    head = (body["number"], body["status"], period["start"], period["end"], body["currency"])
    for line in body["lines"]:
        cells = (_cell(name, line[name]) for name in _COLUMNS)
        told = (_told(line.get(name)) for name in _PRICED)
        writer.writerow((*head, *cells, *told, *_whose(line)))
    rest = [("tax", tax_words(tax), tax["amount"]) for tax in taxes_of(body)]
    rest.append(("prepaid", "Prepaid credit", _minus(body)))
    for kind, words, amount in rest:
        figures = (1, "", amount, amount)
        empty = [""] * (len(_PRICED) + len(_WHOSE))
        writer.writerow((*head, kind, in_cell(words), "", "", *figures, *empty))
    return out.getvalue().encode("utf-8")


def _cell(name: str, value: Any) -> Any:
    return value if value is None or name in _FIGURES else in_cell(str(value))


def _told(value: Any) -> str:
    """Texts with commas between them; nothing of a line that says nothing of its price."""
    return in_cell(value if isinstance(value, str) else ", ".join(value or ()))


def _whose(line: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Empty where the line is of the invoice's own period and rate."""
    period, rate = line.get("period") or {}, line.get("exchange_rate") or {}
    start, end = period.get("start", ""), period.get("end", "")
    return start, end, in_cell(line.get("reason") or ""), rate.get("rate", "")


def _minus(body: Document) -> str:
    """The credit with its other sign: a credit note's gives prepaid credit back. Zero has none."""
    credit: str = body["credit"]
    plain = credit.removeprefix("-")
    return plain if plain != credit or not credit.strip("0.") else f"-{credit}"


def _file(file_format: FileFormat, body: Document) -> bytes:
    return asyncio.run(invoice_file(papers(), body, file_format)).body


FORMATS: Mapping[str, Callable[[Document], bytes]] = {
    "csv": _csv,
    "json": canonical,
    **{form.value: functools.partial(_file, form) for form in FileFormat},
}
