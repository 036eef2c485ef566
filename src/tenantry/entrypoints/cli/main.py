"""`tenantry`: one group, its commands loaded only when they are called."""

from __future__ import annotations

import errno
import io
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from tenantry.entrypoints.cli import lost_output
from tenantry.entrypoints.cli.confirming import interrupted
from tenantry.entrypoints.cli.lazy import LazyGroup
from tenantry.entrypoints.cli.output import say, say_lines
from tenantry.entrypoints.cli.utf8 import arguments, in_utf8

MODULES: Mapping[str, str] = {
    "advise": "advise",
    "alerts": "alerts",
    "ask": "knowledge",
    "audit": "audit",
    "batch": "batch",
    "budgets": "budgets",
    "demo": "demo_command",
    "doctor": "doctor",
    "documents": "knowledge",
    "economics": "economics",
    "emulator": "emulator",
    "engines": "engines",
    "invoices": "invoices",
    "keys": "keys",
    "ledger": "ledger",
    "migrate": "migrate",
    "models": "models",
    "notices": "notices",
    "objects": "objects",
    "plans": "plans",
    "prices": "prices",
    "rates": "rates",
    "reconcile": "reconcile",
    "search": "knowledge",
    "serve": "serve",
    "stripe": "stripe",
    "tenants": "tenants",
    "usage": "usage",
    "webhooks": "webhooks",
    "worker": "worker",
}
INTERRUPTED: Final = 128 + signal.SIGINT  # as a shell has it; 1 would be a finding
_STAYING: Final = frozenset({"demo", "serve", "worker"})
_PRINTED: Final = frozenset({"-h", "--help", "--ready-json"})


class _Root(LazyGroup):
    """The group whose commands tell what broke."""

    def make_context(self, *given: Any, **named: Any) -> click.Context:
        with lost_output.told():  # help and version are printed here
            return super().make_context(*given, **named)

    def invoke(self, ctx: click.Context) -> Any:
        with lost_output.told():
            return super().invoke(ctx)


@click.group(
    cls=_Root,
    modules=MODULES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="tenantry")
def cli() -> None:
    """Run a multi-tenant GenAI product on Amazon Bedrock.

    Example: `tenantry tenants create acme --plan pro`
    """


def main() -> None:
    """The console script. Whatever fails is one line on stderr, never a traceback."""
    in_utf8()
    if lost_output.is_closed():
        if not _stays_up(sys.argv[1:]):  # before anything is done that nobody would hear of
            sys.exit(_failed("standard output is closed; nothing was done"))
        lost_output.open_nowhere()
    lost_output.watch()
    status = _run()
    lost = lost_output.flushed()
    sys.exit(status or (0 if lost is None else _unwritten(lost)))


def _stays_up(arguments: Sequence[str]) -> bool:
    """Whether a command is for what it does, and not for what it prints."""
    return bool(arguments) and arguments[0] in _STAYING and _PRINTED.isdisjoint(arguments)


def _run() -> int:
    try:
        # Where it is not standalone, click returns the status of an `Exit` instead of raising it.
        status = cli.main(arguments(), standalone_mode=False)
        return status if isinstance(status, int) else 0
    except lost_output.Broken as broken:
        cause = broken.__cause__
        assert isinstance(cause, OSError)
        if not lost_output.reader_is_gone():
            return _fault(cause)
        lost_output.forget()
        return lost_output.READER_GONE
    except lost_output.Unwritten as lost:
        lost_output.forget()
        return _unwritten(lost)
    except click.UsageError as wrong:
        return _misused(wrong)
    except (click.Abort, KeyboardInterrupt) as broken:  # Ctrl-C, or a no
        say(err=True)  # ends the line of the question
        return _status_of(broken, _failed("broken off"))
    except click.ClickException as refused:
        return _status_of(refused, _failed(refused.format_message()))
    except Exception as failure:
        return _fault(failure)


def _status_of(failure: BaseException, status: int) -> int:
    return INTERRUPTED if interrupted(failure) else status


def _fault(failure: Exception) -> int:
    from tenantry.bootstrap.failures import fault, told  # brings every adapter along

    message = told(failure)
    return _failed(fault(failure) if message is None else message)


def _unwritten(lost: OSError) -> int:
    if lost.errno == errno.EPIPE:
        return lost_output.READER_GONE
    return _failed(f"standard output could not be written: {lost.strerror}")


def _misused(wrong: click.UsageError) -> int:
    told = io.StringIO()
    wrong.show(told)
    say_lines(told.getvalue().removesuffix("\n"), err=True)
    return 2


def _failed(message: str) -> int:
    say(f"tenantry: {message}", err=True)
    return 1


if __name__ == "__main__":
    main()
