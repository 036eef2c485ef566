"""The whole product as its processes: emulator, gateway workers, background worker, PostgreSQL.

`Stack` starts what `tenantry serve` starts, in a home of its own on free ports, in front of an
emulator with a pool and a silo account. It kills any part as the kernel would, starts it again,
and compares the ledger with the bill that the emulator wrote by itself, attempt by attempt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from tests.support.emulator import Emulator, start_emulator
from tests.support.postgres import scratch_folder
from tests.support.stack_books import Books
from tests.support.stack_clients import Clients
from tests.support.stack_databases import StackDatabases
from tests.support.stack_processes import Processes, read_ready

from tenantry.adapters import shipped
from tenantry.adapters.clock import SystemClock
from tenantry.adapters.keys import control_plane
from tenantry.adapters.postgres.connections import Databases
from tenantry.adapters.postgres.control import PostgresControl
from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.place import known_place
from tenantry.adapters.postgres.guardian.processes import is_alive
from tenantry.adapters.postgres.keeper import PostgresLedgerKeeper
from tenantry.domain.placement import Placement
from tenantry.domain.tenant import DEFAULT_SCOPES, Scope
from tenantry.ports.control import NewKey

ACCOUNTS = {"pool": "111111111111", "silo": "222222222222"}
REGIONS = ("us-east-1", "eu-central-1")
MODEL = "amazon.nova-micro-v1:0"
ALL_SCOPES = DEFAULT_SCOPES | {Scope.ADMIN}
# Faster than a product needs to be, so that a test need not wait.
SETTINGS: Mapping[str, object] = {
    "http_port": 0,
    "https_port": 0,
    "admin_port": 0,
    "invocation_log_poll_ms": 300,
    "shutdown_grace_ms": 2_000,
    "batch_poll_ms": 86_400_000,  # tests look at batches themselves
    "upstream_connect_timeout_ms": 2_000,
}
BATCH_DELAY_MS = 86_400_000  # a batch job starts when a test says so
# One that bills by three policies and has two that are free, and one that looks for other things in
# prompts than in answers.
STRICT, DIVIDED, PRIVATE = "gr1strict", "gr2divided", "gr3private"
BLOCKED_INPUT, BLOCKED_OUTPUT = "No such question, please.", "No such answer, sorry."
GUARDRAILS = f"""
[[accounts.guardrails]]
id = "{STRICT}"
version = "1"
blocked_input = "{BLOCKED_INPUT}"
blocked_output = "{BLOCKED_OUTPUT}"
topics = {{ Investment = ["stocks", "bonds"] }}
content = {{ VIOLENCE = ["bomb"] }}
words = ["darn"]
pii = {{ EMAIL = {{ pattern = '[a-z]+@[a-z]+[.][a-z]+', action = "ANONYMIZE" }} }}
regexes = {{ order = {{ pattern = 'ORD-[0-9]+' }} }}

[[accounts.guardrails]]
id = "{DIVIDED}"
version = "2"
blocked_output = "{BLOCKED_OUTPUT}"
topics = {{ Investment = ["stocks"] }}
content = {{ MISCONDUCT = ["ok", "emulator"] }}
input = ["topics"]
output = ["content"]

[[accounts.guardrails]]
id = "{PRIVATE}"
version = "1"
pii = {{ EMAIL = '[a-z]+@[a-z]+[.][a-z]+' }}
"""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of a stack with its key; `key` has `bearer` and the pair for SigV4."""

    id: str
    name: str
    key: NewKey
    placement: str
    account: str


class Stack(Clients, Books, Processes):
    """A running product. `settings` are Tenantry's, by name: `drain_cap_ms=500, workers=2`."""

    def __init__(
        self, folder: Path, *, mode: str = "fixed", log_delay_ms: int = 200, **settings: object
    ) -> None:
        super().__init__()
        self.home = folder / "home"
        paths = {"invoice_issuer": self.home / "issuer.toml", "s3_folder": self.home / "s3"}
        self.settings = {**SETTINGS, **paths, **settings}
        self._numbers = itertools.count(1)
        self._databases = StackDatabases(self.cluster)
        self._write_credentials()
        self._launch()  # while it starts, so does the emulator
        try:
            config = self._emulator_config(log_delay_ms)
            self.emulator = start_emulator(folder, config=config, mode=mode)
            self._await_ready()
            self.control(self._set_stage)
        except BaseException:
            self.close()
            raise

    emulator: Emulator

    def close(self) -> None:
        """Ends every process and removes PostgreSQL's folder, which may lie outside of ours."""
        self._databases.close()
        try:
            self.end_serve()
        finally:
            if hasattr(self, "emulator"):
                self.emulator.stop()
            where = known_place(self.home)
            if where is not None:
                shutil.rmtree(where.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- tenants ----------------------------------------------------------------------------

    def tenant(
        self,
        plan: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        placement: Literal["pool", "silo"] = "pool",
        scopes: frozenset[Scope] = ALL_SCOPES,
        **tenant: Any,
    ) -> Tenant:
        """A fresh tenant on a plan of its own (`{}`: no limits) with a key of all scopes."""
        number = next(self._numbers)
        name = name or f"tenant-{os.getpid()}-{number}"
        table = {"markup": "3", "placement": placement, **(plan or {})}

        async def make(control: PostgresControl) -> Tenant:
            await control.apply_plans({f"plan-of-{name}": table})
            made = await control.create_tenant(
                name, plan=f"plan-of-{name}", placement=placement, **tenant
            )
            key = await control.create_key(made.id, name="stack", scopes=scopes)
            return Tenant(made.id, name, key, placement, ACCOUNTS[placement])

        return self.control(make)

    def tenants(
        self, plan: Mapping[str, Any] | None = None, **options: Any
    ) -> tuple[Tenant, Tenant]:
        """Two: the one that is tried, and the one that must not notice."""
        return self.tenant(plan, **options), self.tenant(plan, **options)

    def control(self, work: Callable[[PostgresControl], Awaitable[Result]]) -> Result:
        """Runs one piece of work of the control plane."""

        async def run(databases: Databases) -> Result:
            key = control_plane.load(self.home / "control")
            return await work(
                PostgresControl(
                    databases.control, pepper=key.pepper, seal=key.seal, clock=SystemClock()
                )
            )

        return self.in_databases(run)

    def keeper(self, work: Callable[[PostgresLedgerKeeper], Awaitable[Result]]) -> Result:
        """Runs one piece of work of the ledger's keeper."""

        async def run(databases: Databases) -> Result:
            return await work(PostgresLedgerKeeper(databases.control, databases.operator))

        return self.in_databases(run)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Rows of the database, read as the superuser."""
        return self._databases.rows(query, *values)

    def in_databases(self, work: Callable[[Databases], Awaitable[Result]]) -> Result:
        return self._databases.run(work)

    def cluster(self) -> EmbeddedCluster:
        """The stack's PostgreSQL; its `dsn(role)` also knows the superuser."""
        cluster = EmbeddedCluster(self.home)
        cluster.attach()
        return cluster

    # -- the processes ----------------------------------------------------------------------

    def restart(self, **settings: object) -> None:
        """Starts `tenantry serve` again, on other free ports, with these settings changed."""
        self.end_serve()
        self.settings = {**self.settings, **settings}
        self._launch()
        self._await_ready()

    def revive(self) -> None:
        """Waits until what was killed is back; starts it again where nothing else would."""
        if self.serve.poll() is not None:
            self.restart()
        # In this order: a gateway is ready where it reaches its database.
        wait_until(self._database_is_back, "PostgreSQL is back", 60)
        wait_until(self.is_ready, "a gateway worker is ready", 60)
        wait_until(self.background_workers, "the background worker is back", 60)

    def _database_is_back(self) -> bool:
        status = self.database_status()
        if status.state == "failed":  # killed too often in a minute: its guardian has given up
            self.restart()
        return status.state == "ready" and is_alive(status.postmaster_pid)

    def end_serve(self) -> int | None:
        """SIGTERM where it still runs, and its end; returns the exit status."""
        if self.serve.poll() is None:
            self.serve.terminate()
        try:
            return self.serve.wait(60)
        except subprocess.TimeoutExpired:
            self.serve.kill()
            raise AssertionError("serve did not end within 60 s of SIGTERM") from None
        finally:
            self.serve.wait()
            assert self.serve.stdout is not None
            self.serve.stdout.close()

    def _launch(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TENANTRY_")}
        given = {f"TENANTRY_{name.upper()}": str(value) for name, value in self.settings.items()}
        command = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "serve"]
        command += ["--exit-with-parent", "--ready-json"]
        with (self.home / "serve.stderr").open("ab") as errors:
            self.serve = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**environment, "TENANTRY_HOME": str(self.home), **given},
            )

    def _await_ready(self) -> None:
        ready = read_ready(self.serve, self.home / "serve.stderr")
        self.url, self.https_url = ready["http_url"], ready["https_url"]
        self.admin_url, self.ca_bundle = ready["admin_url"], Path(ready["ca_bundle"])
        self.operator_token = (self.home / "control" / "operator-token").read_text().strip()

    # -- the stage --------------------------------------------------------------------------

    def _write_credentials(self) -> None:
        self.credentials = {
            account: {"access_key_id": f"AKIA{kind.upper()}", "secret_access_key": f"{kind}-secret"}
            for kind, account in ACCOUNTS.items()
        }
        self.home.mkdir(mode=0o700, parents=True)
        (self.home / "issuer.toml").write_text('name = "Lumen"\naddress = ["500 Howard St"]\n')
        folder = self.home / "control"
        folder.mkdir(mode=0o700, parents=True)
        path = folder / "credentials.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.credentials), encoding="utf-8")

    def _emulator_config(self, log_delay_ms: int) -> str:
        """TOML; JSON strings are TOML strings."""
        lines = [f's3_dir = "{self.home / "s3"}"', f"batch_delay_ms = {BATCH_DELAY_MS}"]
        lines += ["[log]", f"delay_ms = {log_delay_ms}", f"jitter_ms = {log_delay_ms}"]
        for kind, account in ACCOUNTS.items():
            log_dir = self.home / "accounts" / account / "log"
            lines += ["[[accounts]]", f'id = "{account}"', f'name = "{kind}"']
            lines += [f"regions = {json.dumps(REGIONS)}", f"log_dir = {json.dumps(str(log_dir))}"]
            lines += ["[[accounts.credentials]]"]
            lines += [f"{k} = {json.dumps(v)}" for k, v in self.credentials[account].items()]
            lines += [GUARDRAILS]
        return "\n".join(lines)

    async def _set_stage(self, control: PostgresControl) -> None:
        for kind, account in ACCOUNTS.items():
            await control.apply_placement(
                Placement(
                    id=kind,
                    kind=kind,  # type: ignore[arg-type]
                    account=account,
                    region=REGIONS[0],
                    regions=frozenset(REGIONS),
                    endpoint_url=self.emulator.url,
                    kms_key="own" if kind == "silo" else "shared",
                    batch_s3_uri=f"s3://{kind}-batches/jobs",
                    batch_role_arn=f"arn:aws:iam::{account}:role/batches",
                )
            )
        await control.apply_models(shipped.emulator_models())
        now, own = await control.current_prices(), shipped.emulator_prices()
        await control.import_prices(
            dataclasses.replace(now, models={**now.models, **own.models}, source="tests")
        )


@contextlib.contextmanager
def running_stack(**options: Any) -> Iterator[Stack]:
    """A stack in a scratch folder, ended and removed at the end of the block."""
    with scratch_folder() as folder, Stack(folder, **options) as stack:
        yield stack


def wait_until(look: Callable[[], Result], what: str, timeout_s: float = 30.0) -> Result:
    """What `look` returns once it is truthy; AssertionError that says what did not come."""
    deadline = time.monotonic() + timeout_s
    while not (result := look()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.02)
    return result
