"""What keeps the local keyring from opening the tenant keys that it wrapped."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tenantry.adapters.keys.key_folder import FILE_NAME
from tenantry.adapters.keys.local_kms import LocalKms
from tenantry.domain.errors import TenantryError


async def local_faults(accounts: Path, kms: LocalKms) -> list[str]:
    """A line for each root key that is there or that a wrapped key needs, and that opens nothing.

    Those that a shred retired are none, unless a wrapped key is left that needs them. Tenant keys
    are not opened: who holds one must be known to a shred.
    """
    needed, there = await asyncio.to_thread(lambda: (_needed(accounts), _there(accounts)))
    lines = []
    for account, key_id in sorted(needed | there):
        try:
            if (account, key_id) in needed or not await kms.retired(account, key_id):
                await kms.try_out(account, key_id)
        except TenantryError as problem:
            lines.append(f"account {account}, {key_id}: {problem.message}")
    return lines


def _there(accounts: Path) -> set[tuple[str, str]]:
    return {(path.parts[-3], path.stem) for path in accounts.glob("*/kms/*.json")}


def _needed(accounts: Path) -> set[tuple[str, str]]:
    """Account and id of every root key that wrapped tenant keys name; damaged files name none."""
    found = set()
    for path in accounts.glob("*/keys/*/*.json"):
        if not FILE_NAME.fullmatch(path.name):
            continue
        try:
            body = json.loads(path.read_bytes())
            if body.get("kms_arn") is None:
                found.add((path.parts[-4], str(body["kms_key"])))
        except (OSError, ValueError, KeyError, AttributeError):
            continue
    return found
