"""Puts the emulator together, listens, and ends without losing a record."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bedrock_emulator.account_store import resolve_accounts
from bedrock_emulator.accounts import Account, Directory, guardrails_of
from bedrock_emulator.batch_jobs import BatchJobs
from bedrock_emulator.batch_runner import BatchRunner, Buckets, RunningJobs
from bedrock_emulator.bill import Bill
from bedrock_emulator.certificates import Certificates, ensure_certificates, server_context
from bedrock_emulator.config import Config, ConfigError
from bedrock_emulator.engine.catalogue import ArnLookup
from bedrock_emulator.faults import RuleBook
from bedrock_emulator.inference_profiles import InferenceProfiles
from bedrock_emulator.invocation_log import InvocationLog
from bedrock_emulator.log_settings import LogSettingsStore
from bedrock_emulator.quota import Quotas
from bedrock_emulator.wire.app import Application
from bedrock_emulator.wire.auth import Authenticator
from bedrock_emulator.wire.batch_requests import BatchRequests
from bedrock_emulator.wire.connection import Connection
from bedrock_emulator.wire.control import ControlPlane
from bedrock_emulator.wire.guardrails import Guardrails
from bedrock_emulator.wire.inference import AnsweringEngine, Inference
from bedrock_emulator.wire.meter import Books
from bedrock_emulator.wire.own import OwnEndpoints
from bedrock_emulator.wire.serving import Server
from bedrock_emulator.wire.stats import Stats

BACKLOG = 1_024
SWEEP_S = 1.0
PARENT_POLL_S = 0.2
GRACE_S = 2.0  # for running requests when the emulator ends


def utc_now() -> datetime:
    return datetime.now(UTC)


class Emulator:
    """One emulator in this process: `start`, `run_until_ended`, in a running event loop.

    `make_engine` is given what knows the ARNs of created profiles and provisioned models.
    """

    def __init__(self, config: Config, make_engine: Callable[[ArnLookup], AnsweringEngine]) -> None:
        self._config = config
        # Now, not when it is first looked at: a parent that dies in between would never be missed.
        self._parent = os.getppid()
        config.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_data_dir(config.data_dir)
        self.accounts = resolve_accounts(config)
        for account in self.accounts:
            _check_log_dir(account.log_dir)
        try:
            self._directory = Directory(self.accounts)
        except ValueError as error:
            raise ConfigError(f"accounts: {error}") from error
        self._certificates = _certificates(config, self.accounts)
        fixed = config.mode == "fixed"
        self._executor = None if fixed else ThreadPoolExecutor(config.threads, "generation")
        self._books = Books(
            bill=Bill(config.data_dir / "bill.jsonl", "batched" if fixed else "durable"),
            log=InvocationLog(config.data_dir / "log-spool", config.delivery),
            log_settings=LogSettingsStore(config.data_dir / "logging.json"),
        )
        self._profiles = InferenceProfiles(config.data_dir / "inference-profiles", utc_now)
        self._application = self._compose(make_engine(self._lookup()))
        self._server = Server(self._application.handle, self._application.refuse)
        self._listeners: list[asyncio.Server] = []
        self._ended = asyncio.Event()

    def _lookup(self) -> ArnLookup:
        provisioned = {
            bought.arn(account.id): bought.model
            for account in self.accounts
            for bought in account.provisioned
        }
        return lambda arn: provisioned.get(arn) or self._profiles.target(arn)

    def _compose(self, engine: AnsweringEngine) -> Application:
        stats = Stats()
        rules = RuleBook(token_delay_ms=self._config.token_delay_ms)
        rules.add(list(self._config.rules))
        inference = Inference(
            engine=engine,
            executor=self._executor,
            rules=rules,
            quotas=Quotas(time.monotonic_ns),
            books=self._books,
            stats=stats,
            now=utc_now,
        )
        batches = self._batches(engine)
        own = OwnEndpoints(
            bill=self._books.bill,
            log=self._books.log,
            rules=rules,
            stats=stats,
            directory=self._directory,
            now=utc_now,
            start_batches=self._jobs.start_all,
            host=self._config.host,
        )
        return Application(
            authenticator=Authenticator(self._directory, utc_now),
            inference=inference,
            guardrails=Guardrails(guardrails_of(self.accounts), rules, self._books.bill, utc_now),
            control=ControlPlane(self._books.log_settings, self._profiles, batches),
            own=own,
            stats=stats,
        )

    def _batches(self, engine: AnsweringEngine) -> BatchRequests:
        jobs = BatchJobs(self._config.data_dir / "batch-jobs", utc_now)
        buckets = Buckets(self._config.s3_dir or self._config.data_dir / "s3")
        delay_s = self._config.batch_delay_ms / 1_000
        self._jobs = RunningJobs(
            BatchRunner(jobs, buckets, engine, self._executor, self._books.bill, utc_now, delay_s)
        )
        return BatchRequests(jobs, self._jobs, buckets, self._lookup())

    async def start(self) -> dict[str, Any]:
        """Listens; returns what a client needs: addresses, CA bundle, accounts. From now on
        SIGTERM, SIGINT and SIGHUP end it in good order, SIGHUP unless it was ignored (`nohup`)."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self.end)
        host = self._config.host
        http_port = await self._listen(self._config.http_port, tls=False)
        https_port = await self._listen(self._config.https_port, tls=True)
        self._books.log.start()
        self._jobs.resume()
        shown = f"[{host}]" if ":" in host else host
        return {
            "url": f"http://{shown}:{http_port}",
            "https_url": f"https://{shown}:{https_port}",
            "ca_bundle": str(self._certificates.ca_bundle.absolute()),
            "data_dir": str(self._config.data_dir.absolute()),
        }

    async def _listen(self, port: int, *, tls: bool) -> int:
        context = server_context(self._certificates) if tls else None
        try:
            listener = await asyncio.get_running_loop().create_server(
                partial(Connection, self._server),
                self._config.host,
                port,
                ssl=context,
                backlog=BACKLOG,
            )
        except OSError as error:
            number = error.errno or 0  # negative where it is of a name that is not found
            reason = os.strerror(number) if number > 0 else error.strerror  # the loop says more
            raise ConfigError(f"cannot listen on {self._config.host}:{port}: {reason}") from error
        self._listeners.append(listener)
        bound: socket.socket = listener.sockets[0]
        return int(bound.getsockname()[1])

    def end(self) -> None:
        """Asks `run_until_ended` to return; safe to call from a signal handler."""
        self._ended.set()

    async def run_until_ended(self) -> None:
        """Serves until it is to end, as `start` says, or (if so configured) its parent has; then
        closes."""
        watchers = [asyncio.create_task(self._sweep())]
        if self._config.exit_with_parent:
            watchers.append(asyncio.create_task(self._watch_parent()))
        await self._ended.wait()
        for watcher in watchers:
            watcher.cancel()
        await self.close()

    async def close(self) -> None:
        """Ends running requests, then delivers every log record and syncs the bill."""
        for listener in self._listeners:
            listener.close()
        await self._server.drain(GRACE_S)
        await self._jobs.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        await self._books.log.close()
        self._books.bill.close()
        os.close(self._lock)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._server.sweep()

    async def _watch_parent(self) -> None:
        # prctl's death signal would come when the parent's thread ends, so the parent is polled.
        while True:
            await asyncio.sleep(PARENT_POLL_S)
            if os.getppid() != self._parent:
                self.end()


def _certificates(config: Config, accounts: tuple[Account, ...]) -> Certificates:
    regions = tuple(sorted({region for account in accounts for region in account.regions}))
    try:
        return ensure_certificates(config.data_dir / "tls", config.host, regions)
    except UnicodeError as error:  # what is said of a name that no certificate can bear
        raise ConfigError(f"host {config.host!r} is no address and no name") from error


def _check_log_dir(folder: Path) -> None:
    """Now, and not when the first record cannot be delivered."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"accounts.log_dir {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"accounts.log_dir {folder} cannot be written to")


def _lock_data_dir(data_dir: Path) -> int:
    """Two emulators in one folder would mix their bills."""
    import fcntl

    file = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise ConfigError(f"{data_dir} is in use by another emulator") from error
    return file
