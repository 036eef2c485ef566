"""Files of an invocation log as Bedrock writes them."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.ledger import POOL

from tenantry.ports.admission import Reservation

ACCOUNT = POOL.account


def record(mine: Reservation | None = None, att: str = "0:1", **metadata: str) -> dict[str, Any]:
    """What Bedrock logs of a call with 1,000 tokens in and 500 out, ours or of nobody we know."""
    ours = {} if mine is None else {"rid": str(mine.request_id), "tid": mine.tenant_id, "att": att}
    return {
        "schemaType": "ModelInvocationLog",
        "requestId": str(uuid.uuid4()),
        "requestMetadata": ours | metadata,
        "input": {"inputTokenCount": 1_000},
        "output": {"outputTokenCount": 500},
    }


def key(at: datetime, name: str = "", account: str = ACCOUNT, region: str = "us-east-1") -> str:
    name = name or f"{uuid.uuid4()}.json.gz"
    return f"AWSLogs/{account}/BedrockModelInvocationLogs/{region}/{at:%Y/%m/%d/%H}/{name}"


def packed(*records: dict[str, Any]) -> bytes:
    return gzip.compress("\n".join(json.dumps(one) for one in records).encode())


def deliver(root: Path, *records: dict[str, Any]) -> None:
    """As a file of the folder that a gateway reads."""
    folder = root / "AWSLogs/111111111111/BedrockModelInvocationLogs/us-east-1/2026/11/23/00"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(one) for one in records)
    (folder / f"{uuid.uuid4()}.json.gz").write_bytes(gzip.compress(lines.encode()))
