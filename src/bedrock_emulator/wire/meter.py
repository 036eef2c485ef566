"""Settles an invocation: quota, bill and log, once, whatever happens to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bedrock_emulator.bill import Bill, Charge
from bedrock_emulator.engine.types import Answer, Call, Prepared, TokenUsage
from bedrock_emulator.invocation_log import Entry, InvocationLog, entry_of, record_folder
from bedrock_emulator.log_record import Invocation, log_record, split_large_bodies
from bedrock_emulator.log_settings import LogSettingsStore
from bedrock_emulator.quota import Reservation
from bedrock_emulator.wire.answers import LATENCY_HEADER
from bedrock_emulator.wire.auth import Principal


@dataclass(frozen=True, slots=True)
class Books:
    """Where settled invocations are written."""

    bill: Bill
    log: InvocationLog
    log_settings: LogSettingsStore


class Meter:
    """One invocation from the moment that its caller is known."""

    def __init__(
        self,
        books: Books,
        now: Callable[[], datetime],
        *,
        principal: Principal,
        request_id: str,
        call: Call,
        request_metadata: Mapping[str, str],
    ) -> None:
        self._books = books
        self._principal = principal
        self._request_id = request_id
        self._call = call
        self._metadata = request_metadata
        self._at = now()
        self.prepared: Prepared | None = None
        self.reservation: Reservation | None = None
        self._done = False

    def failed(self, error_code: str) -> None:
        """The call ends with nothing generated: logged with its code, never billed."""
        if self._done:
            return
        self._done = True
        if self.reservation is not None:
            self.reservation.release()
        entry = self._entry(None, error_code=error_code)
        if entry is not None:
            self._books.log.append(entry)

    def generated(
        self,
        answer: Answer,
        usage: TokenUsage,
        *,
        response_body: Callable[[], Any] | None = None,
        error_code: str | None = None,
    ) -> None:
        """Bills and logs what was generated; `settled` then waits for the disk.

        What cannot be logged is not billed: the record is made first.
        """
        if self._done:
            return
        self._done = True
        if self.reservation is not None:
            self.reservation.settle(usage)
        entry = self._entry(
            usage,
            error_code=error_code,
            inference_region=answer.inference_region,
            response_body=response_body,
        )
        call = self._call
        self._books.bill.append(
            Charge(
                account=call.account,
                region=call.region,
                request_id=self._request_id,
                operation=call.operation,
                model_id=call.model_id,
                model=self.prepared.model if self.prepared else call.model_id,
                usage=usage,
                guardrail=answer.guardrail,
                search_units=answer.search_units,
                service_tier=answer.service_tier,
                latency=_latency(call),
                inference_region=answer.inference_region,
                request_metadata=self._metadata,
                invocation_id=call.headers.get("amz-sdk-invocation-id"),
                error_code=error_code,
                timestamp=self._at,
            )
        )
        if entry is not None:
            self._books.log.append(entry)

    async def settled(self) -> None:
        await self._books.bill.settled()

    def _entry(
        self,
        usage: TokenUsage | None,
        *,
        error_code: str | None = None,
        inference_region: str | None = None,
        response_body: Callable[[], Any] | None = None,
    ) -> Entry | None:
        """What the log is to take; None where it takes nothing of the call."""
        call = self._call
        if call.operation == "Rerank":  # the log holds calls of bedrock-runtime alone
            return None
        settings = self._books.log_settings.get(call.account, call.region)
        if settings is None or settings.bucket is None:
            return None
        model = self.prepared.model if self.prepared else call.model_id
        invocation = Invocation(
            account=call.account,
            arn=self._principal.arn,
            region=call.region,
            request_id=self._request_id,
            operation=call.operation,
            model_id=call.model_id,
            timestamp=self._at,
            request_metadata=self._metadata,
            embedding="embed" in model,
        )
        delivers = settings.embedding if invocation.embedding else settings.text
        body = response_body() if delivers and response_body is not None else None
        record = log_record(
            invocation,
            settings,
            usage,
            error_code=error_code,
            inference_region=inference_region,
            request_body=call.body,
            response_body=body,
        )
        root = self._principal.account.log_dir
        if settings.key_prefix:
            root = root / settings.key_prefix
        objects: Mapping[str, bytes] = {}
        if "inputBodyJson" in record["input"]:
            key = str(Path(settings.key_prefix, record_folder(record)))
            objects = split_large_bodies(record, settings.bucket, key)
        return entry_of(root, record, objects)


def _latency(call: Call) -> str | None:
    """The latency that a valid call asks for, which its answer confirms."""
    if not call.operation.startswith("Converse"):
        return call.headers.get(LATENCY_HEADER)
    config = call.body.get("performanceConfig")
    return config.get("latency") if isinstance(config, dict) else None
