"""`python -m bedrock_emulator`: reads the settings, starts, prints one ready line, runs."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bedrock_emulator.config import (
    FIXED_OUTPUT_TOKENS_MAX,
    Config,
    ConfigError,
    load,
    with_environment,
)
from bedrock_emulator.files import DamagedFileError

OPEN_FILES = 65_536
INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT
EPILOG = """\
example:
  python -m bedrock_emulator --data-dir /tmp/bedrock --http-port 0 --https-port 0

When it listens it prints one JSON line: url, https_url, ca_bundle, data_dir, accounts.
Credentials that were given in the configuration are not printed; all of them are in
<data-dir>/accounts.json (mode 600). Settings, rules and endpoints: docs/reference/emulator.md
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until it is told to end: 0 ended, 1 cannot start, 2 wrong usage, 130 broken off."""
    options = _parser().parse_args(arguments)
    try:
        return _serve(_config(options))
    except (ConfigError, DamagedFileError) as error:
        print(f"bedrock-emulator: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:  # before it listened: from then on it ends in good order
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bedrock-emulator",
        description="Amazon Bedrock's runtime on this machine: real wire, small real models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="accounts, bill, logs, TLS")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--http-port", type=_port, metavar="PORT", help="0: any free (8090)")
    parser.add_argument("--https-port", type=_port, metavar="PORT", help="0: any free (8490)")
    parser.add_argument("--mode", choices=("models", "fixed"), help="fixed: one answer, fast")
    parser.add_argument("--fixed-answer", metavar="TEXT", help="what mode fixed answers")
    parser.add_argument(
        "--fixed-output-tokens",
        type=_output_tokens,
        metavar="N",
        help="as long as that",
    )
    parser.add_argument("--token-delay-ms", type=_delay, metavar="MS", help="per output token (0)")
    parser.add_argument(
        "--exit-with-parent", action="store_true", default=None, help="end when the parent ends"
    )
    return parser


def _port(text: str) -> int:
    return _bounded(text, 0, 65_535)


def _delay(text: str) -> int:
    return _bounded(text, 0, 60_000)


def _output_tokens(text: str) -> int:
    return _bounded(text, 1, FIXED_OUTPUT_TOKENS_MAX)


def _bounded(text: str, lowest: int, highest: int) -> int:
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"must be from {lowest} to {highest}")
    return int(text)


def _config(options: argparse.Namespace) -> Config:
    config = Config() if options.config is None else load(options.config, options.data_dir)
    given: dict[str, Any] = {
        name: value
        for name, value in vars(options).items()
        if name != "config" and value is not None
    }
    return with_environment(replace(config, **given))


def _allow_many_connections() -> None:
    """Many systems start a process with 1,024 open files, and allow it to ask for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _serve(config: Config) -> int:
    _allow_many_connections()
    # Late, so that --help and wrong settings answer at once.
    import uvloop

    return uvloop.run(_run(config))


async def _run(config: Config) -> int:
    import orjson

    from bedrock_emulator.account_store import to_document
    from bedrock_emulator.accounts import guardrails_of
    from bedrock_emulator.engine.catalogue import ArnLookup
    from bedrock_emulator.engine.engine import Engine
    from bedrock_emulator.server import Emulator

    def engine(lookup: ArnLookup) -> Engine:
        return Engine(
            mode=config.mode,
            fixed_answer=config.fixed_answer,
            fixed_output_tokens=config.fixed_output_tokens,
            cache_dir=config.data_dir / "embeddings" if config.mode == "models" else None,
            lookup=lookup,
            guardrails=guardrails_of(config.accounts),
        )

    try:
        emulator = Emulator(config, engine)
    except OSError as error:
        name = error.filename or config.data_dir
        raise ConfigError(f"{name}: {error.strerror or error}") from error
    ready = await emulator.start()
    if not config.accounts:
        ready["accounts"] = [to_document(account) for account in emulator.accounts]
    print(orjson.dumps(ready).decode(), flush=True)  # noqa: T201
    await emulator.run_until_ended()
    return 0


if __name__ == "__main__":
    sys.exit(main())
