"""Builds one record of the model invocation log, with exactly Bedrock's fields.

Counts are always in it; bodies only where the switches deliver them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from bedrock_emulator.engine.types import TokenUsage
from bedrock_emulator.log_media import MEDIA, without_media
from bedrock_emulator.log_settings import LogSettings

INLINE_BYTES_MAX = 100_000  # Bedrock moves longer bodies to an object of their own


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the log says about who called what."""

    account: str
    arn: str
    region: str
    request_id: str
    operation: str
    model_id: str  # as called
    timestamp: datetime
    request_metadata: Mapping[str, str] = field(default_factory=dict)
    embedding: bool = False  # the embedding switch holds instead of the text switch


def log_record(
    invocation: Invocation,
    settings: LogSettings,
    usage: TokenUsage | None,
    *,
    error_code: str | None = None,
    inference_region: str | None = None,
    request_body: Any = None,
    response_body: Any = None,
) -> dict[str, Any]:
    """The record as a JSON object; `usage` is None where nothing was metered."""
    record: dict[str, Any] = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": invocation.timestamp.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "accountId": invocation.account,
        "identity": {"arn": invocation.arn},
        "region": invocation.region,
        "requestId": invocation.request_id,
        "operation": invocation.operation,
        "modelId": invocation.model_id,
    }
    if inference_region is not None:
        record["inferenceRegion"] = inference_region
    if error_code is not None:
        record["errorCode"] = error_code
    if invocation.request_metadata:
        record["requestMetadata"] = dict(invocation.request_metadata)
    given: dict[str, Any] = {"inputContentType": "application/json"}
    made: dict[str, Any] = {"outputContentType": "application/json"}
    if settings.embedding if invocation.embedding else settings.text:
        hidden = {medium for medium in MEDIA if not getattr(settings, medium)}
        given["inputBodyJson"] = without_media(request_body, hidden)
        if response_body is not None:
            made["outputBodyJson"] = without_media(response_body, hidden)
    if usage is not None:
        given["inputTokenCount"] = usage.input
        given["cacheReadInputTokenCount"] = usage.cache_read
        given["cacheWriteInputTokenCount"] = usage.cache_write
        made["outputTokenCount"] = usage.output
    record["input"] = given
    if usage is not None or "outputBodyJson" in made:
        record["output"] = made
    return record


def split_large_bodies(record: dict[str, Any], bucket: str, folder: str) -> dict[str, bytes]:
    """Replaces bodies over 100 KB by their S3 path; returns the objects by key."""
    objects = {}
    for side in ("input", "output"):
        part = record.get(side, {})
        body = part.get(f"{side}BodyJson")
        if body is None:
            continue
        encoded = orjson.dumps(body)
        if len(encoded) > INLINE_BYTES_MAX:
            del part[f"{side}BodyJson"]
            key = f"data/{record['requestId']}_{side}.json.gz"
            part[f"{side}BodyS3Path"] = f"s3://{bucket}/{folder}/{key}"
            objects[key] = encoded
    return objects
