"""The stage of the gateway's benchmark: emulator, one worker, PostgreSQL, tenants with keys."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.processes import children, cpu_s, peak_rss_mb, started, tree_cpu_s
from tenantry.adapters.postgres.guardian.status import read_status
from tenantry.bootstrap.commands.control import run_with_control, run_with_keeper
from tenantry.bootstrap.deployment import settings
from tenantry.domain.placement import Placement
from tenantry.entrypoints.api_client import Api
from tenantry.ports.control import ControlPlane

ACCOUNT = "111111111111"
REGION = "us-east-1"
TENANTS = 20
PLAN = "bench"
# Every limit is there to be decided, and none bites.
LIMITS = {
    "requests_per_day": 1_000_000_000,
    "requests_per_minute": 1_000_000_000,
    "tokens_per_minute": 1_000_000_000_000,
    "concurrent_requests": 100_000,
    "monthly_budget": "1000000000",
    "markup": "3",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything listens, and the processes behind it."""

    home: Path
    folder: Path  # for what the load needs
    disk: Path  # the database's
    gateway_url: str
    emulator_url: str
    emulator_key: str
    tenants: tuple[str, ...]
    keys: tuple[str, ...]  # one of each
    worker_pid: int
    background_pid: int
    postmaster_pid: int
    emulator_pid: int

    def cpu_s(self) -> dict[str, float]:
        """Processor time so far, by part."""
        return {
            "gateway_worker": cpu_s(self.worker_pid),
            "postgresql": tree_cpu_s(self.postmaster_pid),
            "background_worker": cpu_s(self.background_pid),
            "emulator": cpu_s(self.emulator_pid),
        }

    def worker_peak_rss_mb(self) -> float:
        return peak_rss_mb(self.worker_pid)

    @contextmanager
    def model_takes(self, milliseconds: int) -> Iterator[None]:
        """The emulator's first byte comes so much later, for as long as the block runs."""
        emulator = Api(self.emulator_url)
        if milliseconds:
            rule = {"action": {"kind": "slow_first_token", "delay_ms": milliseconds}}
            assert emulator.post("/_emulator/rules", [rule]).status < 300, "no rule was added"
        try:
            yield
        finally:
            emulator.delete("/_emulator/rules")

    def violations(self) -> int:
        """How many invariants of the ledger do not hold after the load."""

        hold = timedelta(hours=settings().unknown_hold_h)
        return len(run_with_keeper(lambda keeper: keeper.violations(hold)))


@contextmanager
def stage(
    fixed_answer: str,
    *,
    tenants: int = TENANTS,
    plan: Mapping[str, Any] = LIMITS,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Everything in a temporary folder, gone afterwards. `settings`: variables of the gateway."""
    with (
        _home(settings or {}) as home,
        tempfile.TemporaryDirectory(prefix="tenantry-bench-") as made,
    ):
        folder = Path(made)
        emulator_key = secrets.token_urlsafe(24)
        config = _emulator_config(home, emulator_key, fixed_answer)
        listen = ["--http-port", "0", "--https-port", "0", "--exit-with-parent"]
        emulator_arguments = ["--config", str(config), *listen]
        serve = ["serve", "--workers", "1", "--admin-port", "0", "--ready-json", *listen]
        with (
            started("bedrock_emulator", emulator_arguments, folder / "emulator.log") as emulator,
            started("tenantry.entrypoints.cli.main", serve, folder / "serve.log") as gateway,
        ):
            emulator_url = emulator.ready["url"]
            made = run_with_control(lambda control: _tenants(control, emulator_url, tenants, plan))
            status = read_status(home / "postgres.status")
            assert status is not None
            disk = home / _cluster(home)["path"]
            (worker,) = children(gateway.pid, "spawn_main", "--multiprocessing-fork")
            (background,) = children(gateway.pid, "\0worker\0")
            yield Stage(
                home,
                folder,
                disk,
                gateway.ready["http_url"],
                emulator_url,
                emulator_key,
                tuple(tenant for tenant, _ in made),
                tuple(key for _, key in made),
                worker,
                background,
                status.postmaster_pid,
                emulator.pid,
            )


@contextmanager
def _home(settings: Mapping[str, str]) -> Iterator[Path]:
    """A data folder for this process and those it starts; its cluster goes with it."""
    before = {name: text for name, text in os.environ.items() if name.startswith("TENANTRY_")}
    for name in before:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="tenantry-bench-home-"))
    os.environ |= {"TENANTRY_HOME": str(home), **settings}
    try:
        yield home
    finally:
        if (home / "cluster").exists():
            shutil.rmtree(home / _cluster(home)["path"], ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
        for name in ("TENANTRY_HOME", *settings):
            del os.environ[name]
        os.environ.update(before)


def _cluster(home: Path) -> dict[str, str]:
    """Where the home's database lies: not in the home where it runs as root."""
    record: dict[str, str] = json.loads((home / "cluster").read_text(encoding="utf-8"))
    return record


def _emulator_config(home: Path, bearer_key: str, fixed_answer: str) -> Path:
    """The emulator's settings, and the same credentials for the gateway (both mode 600)."""
    signing = {
        "access_key_id": f"AKIA{secrets.token_hex(8).upper()}",
        "secret_access_key": secrets.token_urlsafe(30),
    }
    (home / "control").mkdir(mode=0o700)
    _write_private(home / "control" / "credentials.json", json.dumps({ACCOUNT: signing}))
    lines = [  # JSON strings are TOML strings
        f"data_dir = {json.dumps(str(home / 'emulator'))}",
        'mode = "fixed"',
        f"fixed_answer = {json.dumps(fixed_answer)}",
        "[[accounts]]",
        f'id = "{ACCOUNT}"',
        f'regions = ["{REGION}"]',
        f"log_dir = {json.dumps(str(home / 'accounts' / ACCOUNT / 'log'))}",
        "[[accounts.credentials]]",
        *(f"{name} = {json.dumps(value)}" for name, value in signing.items()),
        f"bearer_key = {json.dumps(bearer_key)}",
    ]
    return _write_private(home / "emulator.toml", "\n".join(lines))


def _write_private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


async def _tenants(
    control: ControlPlane, emulator_url: str, count: int, plan: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Tenants on one plan in the emulator's account, and an API key of each."""
    await control.apply_placement(
        Placement(
            id="pool",
            kind="pool",
            account=ACCOUNT,
            region=REGION,
            regions=frozenset({REGION}),
            endpoint_url=emulator_url,
        )
    )
    await control.apply_plans({PLAN: dict(plan)})
    made = []
    for number in range(count):
        tenant = await control.create_tenant(f"bench-{number}", plan=PLAN)
        made.append((str(tenant.id), (await control.create_key(tenant.id)).bearer))
    return made
