"""The stage: a Bedrock emulator with two accounts, and a gateway in front of it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenantry.adapters.objects.durable_file import DurableFiles
from tenantry.config import variable_of
from tenantry.entrypoints.demo.show import Failed

POOL_ACCOUNT = "111111111111"
SILO_ACCOUNT = "222222222222"
REGIONS = ("us-east-1", "eu-central-1")
START_S = 180.0  # a cold machine makes a cluster and loads the models
STOP_S = 45.0


@contextmanager
def emulator(home: Path, port: int) -> Iterator[Mapping[str, Any]]:
    """The emulator as a process that ends with this one; yields its ready line. Port 0: any."""
    folder = home / "emulator"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    buckets_of(home).mkdir(parents=True, exist_ok=True)
    config = folder / "emulator.toml"
    config.write_text(_emulator_config(home, account_credentials(home)), encoding="utf-8")
    config.chmod(0o600)
    command = ["-m", "bedrock_emulator", "--config", str(config), "--exit-with-parent"]
    with _process(
        [*command, "--http-port", str(port), "--https-port", "0"], folder / "stderr"
    ) as ready:
        yield ready


@contextmanager
def gateway(home: Path, ports: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """`tenantry serve` as a process that ends with this one; yields its ready line."""
    command = ["-m", "tenantry.entrypoints.cli.main", "serve", "--parent", str(os.getpid())]
    command += ["--exit-with-parent", "--ready-json"]
    buckets = {variable_of("s3_folder"): str(buckets_of(home))}
    with _process([*command, *ports], home / "serve.stderr", buckets) as ready:
        yield ready


def buckets_of(home: Path) -> Path:
    """The folder that stands for Amazon S3: the emulator's `s3_dir`."""
    return home / "emulator" / "data" / "s3"


def account_credentials(home: Path) -> dict[str, dict[str, str]]:
    """Access keys of the two emulated accounts, made once and kept for the gateway (mode 600)."""
    path = home / "control" / "credentials.json"
    if path.exists():
        try:
            loaded: dict[str, dict[str, str]] = json.loads(path.read_bytes())
        except ValueError as problem:
            raise Failed(
                f"{path} cannot be read: {problem}; without it new ones are made"
            ) from None
        return loaded
    made = {
        account: {
            "access_key_id": f"AKIA{secrets.token_hex(8).upper()}",
            "secret_access_key": secrets.token_urlsafe(30),
        }
        for account in (POOL_ACCOUNT, SILO_ACCOUNT)
    }
    DurableFiles().replace(path, json.dumps(made, indent=2).encode())
    return made


def _emulator_config(home: Path, credentials: Mapping[str, Mapping[str, str]]) -> str:
    """TOML for the emulator; JSON strings are TOML strings."""
    lines = [f"data_dir = {json.dumps(str(home / 'emulator' / 'data'))}", 'mode = "models"']
    lines += [f"s3_dir = {json.dumps(str(buckets_of(home)))}", ""]
    lines += ["[log]", "delay_ms = 500", "jitter_ms = 1500", ""]
    for name, account in (("pool", POOL_ACCOUNT), ("silo", SILO_ACCOUNT)):
        log_dir = home / "accounts" / account / "log"
        lines += [
            "[[accounts]]",
            f'id = "{account}"',
            f'name = "{name}"',
            f"regions = {json.dumps(list(REGIONS))}",
            f"log_dir = {json.dumps(str(log_dir))}",
            "[[accounts.credentials]]",
            f"access_key_id = {json.dumps(credentials[account]['access_key_id'])}",
            f"secret_access_key = {json.dumps(credentials[account]['secret_access_key'])}",
            "",
        ]
    return "\n".join(lines)


@contextmanager
def _process(
    arguments: Sequence[str], log: Path, more: Mapping[str, str] | None = None
) -> Iterator[Mapping[str, Any]]:
    """`more` goes into the process's environment."""
    with log.open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
            [sys.executable, "-P", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **(more or {})},
        )
    try:
        yield _ready(process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[str], log: Path) -> Mapping[str, Any]:
    """The first JSON line of a process. It says why where it ends instead."""
    assert process.stdout is not None
    too_late = threading.Timer(START_S, process.kill)  # a read of a pipe has no time-out
    too_late.daemon = True
    too_late.start()
    try:
        for line in process.stdout:
            if line.startswith("{"):
                ready: Mapping[str, Any] = json.loads(line)
                return ready
    finally:
        too_late.cancel()
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise Failed(said[-1] if said else "a part of the demo did not start")
