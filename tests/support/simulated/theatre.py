"""What all seeds of a test process share: an emulator, the log's folders, a server that forks
workers. One seed plays at a time; what it leaves in the log is swept away after it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.emulator import Emulator, read_log, start_emulator
from tests.support.postgres import scratch_folder
from tests.support.simulated.scenario import ACCOUNTS

CREDENTIALS = {
    account: {"id": f"AKIA{kind.upper()}", "secret": f"{kind}-secret"}
    for kind, account in ACCOUNTS.items()
}
BILL_PAGE = 50_000
_DELAY_MS = 86_400_000 // 2  # the log comes when a scenario says so, and never by itself


@dataclass
class Theatre:
    emulator: Emulator
    folder: Path
    context: Any  # of multiprocessing: forks workers from a process that has all imported
    billed: int = 0  # records of the bill that earlier seeds made
    _withheld: int = field(default=0)

    @property
    def accounts(self) -> Path:
        """`<account>/log` under here is what the keeper reads."""
        return self.folder / "accounts"

    @property
    def held_back(self) -> Path:
        return self.folder / "held-back"

    def flush(self, *, withheld: bool = False) -> None:
        """Delivers the log; what is withheld lies where nobody but the auditor reads it."""
        known = set(self._files(self.accounts))
        self.emulator.own("POST", "flush-logs")
        if withheld:
            for path in set(self._files(self.accounts)) - known:
                target = self.held_back / path.relative_to(self.accounts)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)

    def records(self, *, withheld: bool) -> list[dict[str, Any]]:
        """The log's records that were delivered, or those that are held back."""
        root = self.held_back if withheld else self.accounts
        return [record for account in CREDENTIALS for record in read_log(root / account / "log")]

    def release(self) -> None:
        """What was held back comes, the latest first, and some of it twice."""
        for number, path in enumerate(sorted(self._files(self.held_back), reverse=True)):
            target = self.accounts / path.relative_to(self.held_back)
            target.parent.mkdir(parents=True, exist_ok=True)
            if number % 2 == 0:
                shutil.copyfile(path, target.with_name(f"again-{target.name}"))
            path.rename(target)

    def bill(self) -> list[dict[str, Any]]:
        """What was billed since the seed began."""
        records: list[dict[str, Any]] = []
        while True:
            offset = self.billed + len(records)
            page = self.emulator.own("GET", f"bill?offset={offset}&limit={BILL_PAGE}")
            records += page["records"]
            if not page["more"]:
                return records

    def sweep(self) -> None:
        """Ends a seed: its rules, its bill and its log are no other's."""
        self.emulator.clear_rules()
        self.emulator.own("POST", "flush-logs")
        self.billed += len(self.bill())
        for root in (self.accounts, self.held_back):
            for path in self._files(root):
                path.unlink()

    def _files(self, root: Path) -> list[Path]:
        return list(root.glob("*/log/**/*.json.gz"))


@contextlib.contextmanager
def open_theatre() -> Iterator[Theatre]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.simulated.worker"])
    with scratch_folder() as folder:
        emulator = start_emulator(folder, config=_config(folder / "accounts"), mode="fixed")
        try:
            yield Theatre(emulator, folder, context)
        finally:
            emulator.stop()


def _config(accounts: Path) -> str:
    """TOML; JSON strings are TOML strings."""
    lines = [f'fixed_answer = "{" ".join(["ok"] * 50)}"', "[log]", f"delay_ms = {_DELAY_MS}"]
    for account, credential in CREDENTIALS.items():
        lines += ["[[accounts]]", f'id = "{account}"', f'name = "of {account}"']
        lines += ['regions = ["us-east-1"]']
        lines += [f"log_dir = {json.dumps(str(accounts / account / 'log'))}"]
        lines += ["[[accounts.credentials]]", f'access_key_id = "{credential["id"]}"']
        lines += [f'secret_access_key = "{credential["secret"]}"']
    return "\n".join(lines)
