"""Starts the Bedrock emulator as a process of its own and speaks to its own endpoints."""

from __future__ import annotations

import gzip
import json
import os
import selectors
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

START_S = 60.0  # a cold machine loads models slowly; a broken start ends at once
STOP_S = 20.0
EVENTUALLY_S = 30.0
DEFAULT_REGION = "us-east-1"
Result = TypeVar("Result")
_making = threading.Lock()  # boto3 sessions make one client at a time


@dataclass(frozen=True)
class EmulatedAccount:
    """An account of a running emulator with its first credential."""

    id: str
    name: str
    regions: tuple[str, ...]
    log_dir: Path
    access_key_id: str
    secret_access_key: str
    bearer_key: str
    session_token: str | None = None


class Emulator:
    """A running emulator process."""

    def __init__(self, process: subprocess.Popen[str], ready: Mapping[str, Any]) -> None:
        self.process = process
        self.url: str = ready["url"]
        self.https_url: str = ready["https_url"]
        self.ca_bundle = Path(ready["ca_bundle"])
        self.data_dir = Path(ready["data_dir"])
        document = json.loads((self.data_dir / "accounts.json").read_text())
        self.accounts = [_account(account) for account in document["accounts"]]
        self._clients: dict[Hashable, Any] = {}

    @property
    def pool(self) -> EmulatedAccount:
        return self.accounts[0]

    @property
    def silo(self) -> EmulatedAccount:
        return self.accounts[1]

    def client(
        self,
        service: str = "bedrock-runtime",
        account: EmulatedAccount | None = None,
        *,
        region: str = DEFAULT_REGION,
        **config: Any,
    ) -> Any:
        """An unmodified boto3 client that signs with the account's access key.

        Clients are safe to share and slow to make, so that equal ones are one.
        """
        from botocore.config import Config

        account = account or self.pool
        settings = {"retries": {"total_max_attempts": 1}, "signature_version": "v4", **config}
        return self.kept(
            (service, account, region, repr(sorted(settings.items()))),
            lambda: _session().client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=account.access_key_id,
                aws_secret_access_key=account.secret_access_key,
                aws_session_token=account.session_token,
                config=Config(**settings),
            ),
        )

    def kept(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """The client of that name, made once and closed with the emulator."""
        with _making:
            if name not in self._clients:
                self._clients[name] = make()
            return self._clients[name]

    def own(self, method: str, path: str, body: Any = None) -> Any:
        """Calls `/_emulator/<path>` and returns the decoded answer."""
        request = urllib.request.Request(
            f"{self.url}/_emulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            return json.loads(response.read())

    def bill(self, account: str | None = None) -> dict[str, Any]:
        """`{"records": [...], "totals": {account: {...}}, "more": bool}`."""
        answer: dict[str, Any] = self.own(
            "GET", "bill" + (f"?account={account}" if account else "")
        )
        return answer

    def rules(self, *rules: Mapping[str, Any]) -> None:
        """Adds rules that say what goes wrong."""
        self.own("POST", "rules", list(rules))

    def clear_rules(self) -> None:
        self.own("DELETE", "rules")

    def logged(self, account: EmulatedAccount | None = None) -> list[dict[str, Any]]:
        """Every record of the account's invocation log, delivered up to now."""
        self.own("POST", "flush-logs")
        return read_log((account or self.pool).log_dir)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        while self._clients:
            self._clients.popitem()[1].close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(STOP_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@cache
def _session() -> Any:
    """One for all clients: it reads botocore's service models once."""
    import boto3

    return boto3.Session()


def start_emulator(
    tmp_path: Path,
    *,
    config: str | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    exit_with_parent: bool = True,
    **options: str | int,
) -> Emulator:
    """Starts an emulator with its data in `tmp_path` on free ports, and waits until it listens.

    `options` are command line options: `mode="fixed"`, `token_delay_ms=5`. `config` is TOML.
    """
    command = [sys.executable, "-m", "bedrock_emulator"]
    if config is not None:
        file = tmp_path / "emulator.toml"
        file.write_text(config, encoding="utf-8")
        command += ["--config", str(file)]
    settings: dict[str, str | int] = {"http_port": 0, "https_port": 0, "mode": "fixed", **options}
    settings.setdefault("data_dir", str(tmp_path / "emulator"))
    for name, value in settings.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    if exit_with_parent:
        command.append("--exit-with-parent")
    stderr_path = tmp_path / "emulator.stderr"
    with stderr_path.open("ab") as stderr:
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **(env or {})},
        )
    try:
        return Emulator(process, _ready_line(process, stderr_path))
    except BaseException:
        process.kill()
        process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()
        raise


def eventually(look: Callable[[], Result]) -> Result:
    """What `look` returns once it is truthy; TimeoutError after EVENTUALLY_S."""
    deadline = time.monotonic() + EVENTUALLY_S
    while not (result := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came in {EVENTUALLY_S} s")
        time.sleep(0.02)
    return result


def read_log(log_dir: Path) -> list[dict[str, Any]]:
    """The records of every delivered file under an account's log folder, in no useful order."""
    records = []
    for file in sorted(log_dir.glob("**/BedrockModelInvocationLogs/*/*/*/*/*/*.json.gz")):
        lines = gzip.decompress(file.read_bytes()).splitlines()
        records += [json.loads(line) for line in lines]
    return records


def _ready_line(process: subprocess.Popen[str], stderr_path: Path) -> dict[str, Any]:
    assert process.stdout is not None
    deadline = time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError(f"the emulator did not start in {START_S} s")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the emulator ended:\n{stderr_path.read_text()}")
    ready: dict[str, Any] = json.loads(line)
    return ready


def _account(document: Mapping[str, Any]) -> EmulatedAccount:
    credential = document["credentials"][0]
    return EmulatedAccount(
        id=document["id"],
        name=document["name"],
        regions=tuple(document["regions"]),
        log_dir=Path(document["log_dir"]),
        access_key_id=credential.get("access_key_id", ""),
        secret_access_key=credential.get("secret_access_key", ""),
        bearer_key=credential.get("bearer_key", ""),
        session_token=credential.get("session_token"),
    )
