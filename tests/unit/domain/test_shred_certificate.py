"""A certificate says what became of the keys, and no more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tenantry.domain.ids import TenantId
from tenantry.domain.shred import (
    Shred,
    certificate_content,
    certificate_text,
    document_of,
    signed_content,
)

AT = datetime(2026, 12, 1, tzinfo=UTC)
TENANT = TenantId("tnt_01hzzzzzzzzzzzzzzzzzzzzzzz")


def content(kms_key: str | None, deletion_at: datetime | None) -> str:
    shred = Shred(
        TENANT,
        "root",
        AT,
        keys_destroyed_at=AT,
        kms_key=kms_key,
        kms_deletion_at=deletion_at,
        processes_at=AT,
        found={},
        erased_at=AT,
    )
    return certificate_content(shred, tenant_name="acme", processes=(), logs=(), at=AT)


@pytest.mark.parametrize(
    ("kms_key", "deletion_at", "mode", "line"),
    [
        (None, None, "tenant key destroyed", None),
        (f"own-{TENANT}", None, "own KMS key destroyed", "destroyed"),
        (
            f"own-{TENANT}",
            AT + timedelta(days=30),
            "own KMS key disabled, deletion scheduled",
            "disabled; deletion: 2026-12-31",
        ),
    ],
)
def test_the_mode_is_what_was_done_to_the_key(
    kms_key: str | None, deletion_at: datetime | None, mode: str, line: str | None
) -> None:
    document = document_of(content(kms_key, deletion_at), b"s", b"k")
    assert document["content"]["mode"] == mode
    text = certificate_text(document)
    assert mode in text
    assert ("KMS key  " in text) == (line is not None)
    assert line is None or f"{kms_key}, {line}" in text


def test_a_certificate_with_the_words_of_before_is_read_as_it_was_signed() -> None:
    told = json.loads(content(f"own-{TENANT}", None))
    told["mode"] = "own KMS key disabled, deletion scheduled"
    signed = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    document = document_of(signed, b"s", b"k")
    assert signed_content(document) == (signed, b"s", b"k")
    assert told["mode"] in certificate_text(document)
