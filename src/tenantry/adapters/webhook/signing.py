"""A notice as the signed message of a webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from standardwebhooks import Webhook

from tenantry.ports.delivery import Delivery, DeliveryFailed

BODY_MAX_BYTES: Final = 1_048_576
_json = msgspec.json.Encoder(decimal_format="number")


def message(delivery: Delivery) -> bytes:
    """The body: type, instant of the event, data. Raises `DeliveryFailed` where it is too large."""
    tenant = {"tenant_id": delivery.tenant_id} if delivery.tenant_id else {}
    body = _json.encode(
        {
            "type": delivery.kind,
            "timestamp": delivery.created_at.isoformat().replace("+00:00", "Z"),
            "data": {**delivery.body, **tenant},
        }
    )
    if len(body) > BODY_MAX_BYTES:
        raise DeliveryFailed(f"its body is larger than {BODY_MAX_BYTES} bytes", final=True)
    return body


def signed(
    delivery: Delivery, body: bytes, secrets: Sequence[str], now: datetime
) -> dict[str, str]:
    """The headers. The id is the notice's, the same over all attempts; the time is this one's, by
    which a receiver refuses a replay. Each secret signs, so that a receiver may know either.
    """
    message_id = str(delivery.notice_id)
    text = body.decode("utf-8")
    signatures = [Webhook(secret).sign(message_id, now, text) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
