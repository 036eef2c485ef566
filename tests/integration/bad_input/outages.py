"""What the machine does to us: the database gone, the disk full, a port taken, a newer home."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.metered import MeteredStack
from tests.support.postgres import scratch_folder
from tests.support.refusals import ASKS, AWAY, NO_TRACE, refused, traces, upstream_requests
from tests.support.stack import ACCOUNTS, wait_until
from tests.support.stack_command import tenantry
from tests.support.stack_databases import StackDatabases
from tests.support.stack_processes import kill

from tenantry.adapters.postgres.embedded import EmbeddedCluster
from tenantry.adapters.postgres.embedded.place import known_place

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
START_S = 120
SCRAPE_S = 10  # as long as Prometheus waits


@contextlib.contextmanager
def without_a_database(stack: MeteredStack) -> Iterator[None]:
    """The postmaster is dead, and its guardian cannot notice."""
    status = stack.database_status()
    os.kill(status.guardian_pid, signal.SIGSTOP)
    try:
        kill([status.postmaster_pid])
        yield
    finally:
        os.kill(status.guardian_pid, signal.SIGCONT)
        stack.revive()
        witness = stack.tenant()
        wait_until(lambda: ASKS[0].send(stack, witness)[0] == 200, "the ledger is back")


_LOSE_ADMISSION = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND mode = 'ShareLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextlib.contextmanager
def hanging_database(stack: MeteredStack) -> Iterator[None]:
    """PostgreSQL takes connections and answers nobody, as on a disk that hangs."""
    processes = [stack.database_status().postmaster_pid, *stack.database_processes()]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        wait_until(stack.is_ready, "the worker is ready")


@contextlib.contextmanager
def full_disk(stack: MeteredStack) -> Iterator[None]:
    """No byte more can be written below the pool's objects: a full file system as root, which may
    mount one, else a limit of the kernel's on the size of files."""
    if os.geteuid() == 0:
        folder = stack.home / "accounts" / ACCOUNTS["pool"] / "objects"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
        try:
            with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 4_096)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    workers = stack.gateway_workers()
    old = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in workers]
    for pid, (_, hard) in zip(workers, old, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        for pid, limits in zip(workers, old, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def serve(home: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """`tenantry serve` that is expected to refuse."""
    return subprocess.run(
        _command(*options), env=_environment(home), text=True, capture_output=True, timeout=START_S
    )


@contextlib.contextmanager
def serving(home: Path) -> Iterator[None]:
    process = subprocess.Popen(
        _command("--ready-json"), env=_environment(home), text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            assert process.stdout.readline().startswith("{")
            yield
        finally:
            process.terminate()
            process.wait(START_S)


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """What a refused start says: exit status 1, and one clear line."""
    assert done.returncode == 1, done
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


def _claim_newer_schema(home: Path) -> None:
    def cluster() -> EmbeddedCluster:
        found = EmbeddedCluster(home)
        found.attach()
        return found

    with contextlib.closing(StackDatabases(cluster)) as databases:
        wait_until(
            lambda: databases.rows(
                "INSERT INTO tenantry.schema_migrations (number, name, sha256)"
                " SELECT max(number) + 1, 'of_tomorrow', repeat('0', 64)"
                " FROM tenantry.schema_migrations RETURNING number"
            ),
            "the row",
        )


def _command(*options: str) -> list[str]:
    ports = ["--http-port", "0", "--https-port", "0", "--admin-port", "0"]
    for name in options:
        if name in ports:
            at = ports.index(name)
            del ports[at : at + 2]
    main = [sys.executable, "-m", "tenantry.entrypoints.cli.main", "serve"]
    return [*main, "--exit-with-parent", *ports, *options]


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "TENANTRY_" not in name}
    return {**kept, "TENANTRY_HOME": str(home)}


def _counting(name: str) -> str | None:
    """Nova cannot count tokens; Claude can."""
    return CLAUDE if name == "count-tokens" else None


class TestOutages:
    """On a product of its own, which is whole again after each."""

    @pytest.fixture
    def home(self) -> Iterator[Path]:
        with scratch_folder() as folder:
            yield folder / "home"
            where = known_place(folder / "home")
            if where is not None:
                shutil.rmtree(where.folder, ignore_errors=True)

    def test_the_database_is_gone(self, fragile: MeteredStack) -> None:
        """503 for everybody, nothing admitted, and all is well once it is back."""
        tenant = fragile.tenant()
        sdk = fragile.boto3(tenant)
        for ask in ASKS:  # whatever is remembered of the tenant, is
            assert ask.send(fragile, tenant, _counting(ask.name))[0] in (200, 201)
        before, sent = traces(fragile, tenant), upstream_requests(fragile)
        with without_a_database(fragile):
            for ask in ASKS:
                refused(ask.family, ask.send(fragile, tenant, _counting(ask.name)), AWAY)
            with pytest.raises(sdk.exceptions.ServiceUnavailableException):
                sdk.converse(
                    modelId=CLAUDE, messages=[{"role": "user", "content": [{"text": "Hello."}]}]
                )
            for path in ("/v1/usage", "/v1/limits", "/v1/documents"):
                refused("tenantry", fragile.http("GET", path, tenant=tenant), AWAY)
            wait_until(lambda: not fragile.is_ready(), "the worker is not ready")
            assert upstream_requests(fragile) == sent, "something left without a reservation"
        assert traces(fragile, tenant) == before
        for ask in ASKS:
            assert ask.send(fragile, tenant, _counting(ask.name), text="Again.")[0] in (200, 201)
        fragile.agree(tenant)

    def test_no_connection_is_left_for_admission(self, fragile: MeteredStack) -> None:
        """Who asks is told so, and health checks tell it too, though the database can be read."""
        tenant = fragile.tenant()
        assert ASKS[0].send(fragile, tenant)[0] == 200
        fragile.rows("ALTER ROLE tenantry_app CONNECTION LIMIT 0")
        try:
            assert fragile.rows(_LOSE_ADMISSION)
            wait_until(lambda: not fragile.is_ready(), "the worker is not ready")
            for ask in (ASKS[0], ASKS[5], ASKS[9]):
                refused(ask.family, ask.send(fragile, tenant), AWAY)
            assert b"\ntenantry_ledger_up 0\n" in fragile.http("GET", "/metrics", admin=True)[2]
        finally:
            fragile.rows("ALTER ROLE tenantry_app CONNECTION LIMIT -1")
        wait_until(fragile.is_ready, "the worker is ready")
        assert ASKS[0].send(fragile, tenant)[0] == 200
        # What is told may be a second old.
        wait_until(
            lambda: b"\ntenantry_ledger_up 1\n" in fragile.http("GET", "/metrics", admin=True)[2],
            "the ledger is up again",
        )
        fragile.agree(tenant)

    def test_the_database_hangs(self, fragile: MeteredStack) -> None:
        """Who watches is told so within Prometheus' own 10 s, and a command says why it failed."""
        tenant = fragile.tenant()
        assert ASKS[0].send(fragile, tenant)[0] == 200
        with hanging_database(fragile):
            wait_until(lambda: not fragile.is_ready(), "the worker is not ready")
            for _ in range(3):
                status, _, body = fragile.http("GET", "/metrics", admin=True, timeout_s=SCRAPE_S)
                assert status == 200
                assert b"\ntenantry_ledger_up 0\n" in body
                assert b'tenantry_upstream_attempts_total{outcome="answered"}' in body
                assert b"tenantry_http_requests_total" in body
            done = tenantry(fragile.home, "tenants", "list")
            assert done.returncode == 1
            assert done.stderr == "tenantry: The database is out of reach: no answer in time\n"
        # What is told may be a second old.
        wait_until(
            lambda: b"\ntenantry_ledger_up 1\n" in fragile.http("GET", "/metrics", admin=True)[2],
            "the ledger is up again",
        )
        fragile.agree(tenant)

    def test_the_disk_is_full(self, fragile: MeteredStack) -> None:
        """An upload is refused whole; what needs no disk is served."""
        tenant = fragile.tenant()
        ASKS[0].send(fragile, tenant, _counting(ASKS[0].name))  # its first request makes its key
        with full_disk(fragile):
            for ask in ASKS:
                reply = ask.send(fragile, tenant, _counting(ask.name))
                if ask.name == "documents":
                    assert "disk" in refused(ask.family, reply, AWAY)
                    assert traces(fragile, tenant)[3:] == NO_TRACE[3:]
                else:
                    assert reply[0] == 200, (ask.name, reply)
        fragile.agree(tenant)
        written = fragile.http(
            "POST", "/v1/documents", {"title": "T", "text": "Words."}, tenant=tenant
        )
        assert written[0] == 201
        found = fragile.api(tenant).post("/v1/search", {"query": "Words."})
        assert [passage["text"] for passage in found.body["passages"]] == ["Words."]
        fragile.agree(tenant)

    def test_a_port_is_taken(self, fragile: MeteredStack, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            for option in ("--http-port", "--https-port", "--admin-port"):
                assert port in one_line(serve(home, option, port))

    def test_a_home_is_in_use(self, fragile: MeteredStack) -> None:
        assert str(fragile.home) in one_line(serve(fragile.home))
        assert fragile.is_ready(), "the one that runs is left alone"

    def test_a_data_folder_of_a_newer_version(self, fragile: MeteredStack, home: Path) -> None:
        """Neither a newer schema nor a newer PostgreSQL is touched."""
        with serving(home):
            _claim_newer_schema(home)
        where = known_place(home)
        assert where is not None
        version = where.data / "PG_VERSION"
        found = version.read_text()
        version.write_text("99\n")
        assert "99" in one_line(serve(home))
        version.write_text(found)
        assert "newer" in one_line(serve(home))
