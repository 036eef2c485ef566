"""The end of a tenant: how far its shred is, and the certificate of what was done.

    asked ─▶ keys destroyed ─▶ processes ended ─▶ content erased ─▶ certified

Each step is done before its instant is written. A certificate says no more than what was done and
seen, and names what remains and what lies outside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from tenantry.domain.ids import TenantId
from tenantry.domain.vector_room import DECLARED_GONE, VectorRoom

FORMAT: Final = 1
TENANT_KEY: Final = "tenant key destroyed"
OWN_KMS_KEY: Final = "own KMS key disabled, deletion scheduled"
OWN_KMS_KEY_GONE: Final = "own KMS key destroyed"
Step = Literal["asked", "keys_destroyed", "processes_ended", "erased", "certified"]


class CertificateBroken(ValueError):
    """A certificate is not what was signed; the message says how."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that may have held a tenant key. `ending` None: nobody has seen it end."""

    host_name: str
    pid: int
    kind: str
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    ending: str | None = None  # "ended", or "declared gone" by an operator who could not reach it


@dataclass(frozen=True, slots=True)
class Shred:
    """How far the shred of one tenant is. Instants are of the database's clock."""

    tenant_id: TenantId
    asked_by: str
    asked_at: datetime
    keys_destroyed_at: datetime | None = None
    kms_key: str | None = None  # its own root key's id; None: it had none
    kms_deletion_at: datetime | None = None
    kms_left: Sequence[str] = ()  # ARNs of KMS keys that somebody else made, left as they are
    trouble: str | None = None  # why it could not go on, when that was last tried
    processes_at: datetime | None = None
    found: Mapping[str, int] | None = None  # what there was to erase
    erased_at: datetime | None = None
    certificate: str | None = None
    signature: bytes | None = None

    @property
    def step(self) -> Step:
        """The last step that is done."""
        if self.certificate is not None:
            return "certified"
        if self.erased_at is not None:
            return "erased"
        if self.processes_at is not None:
            return "processes_ended"
        return "asked" if self.keys_destroyed_at is None else "keys_destroyed"


@dataclass(frozen=True, slots=True)
class InvocationLog:
    """Where the account's own log of calls is delivered: outside of Tenantry."""

    account: str
    location: str


def certificate_content(
    shred: Shred,
    *,
    tenant_name: str,
    processes: Sequence[Holder],
    logs: Sequence[InvocationLog],
    rooms: Sequence[VectorRoom] = (),
    at: datetime,
) -> str:
    """The canonical JSON that is signed."""
    assert shred.keys_destroyed_at and shred.processes_at and shred.erased_at, "not all is done"
    lost = [each for each in processes if each.ending != "ended"]
    own = shred.kms_key is not None
    told = {
        "certificate": "crypto-shred of a tenant",
        "format": FORMAT,
        "tenant": {"id": shred.tenant_id, "name": tenant_name},
        "mode": _mode(shred),
        "asked": {"at": _instant(shred.asked_at), "by": shred.asked_by},
        "effective_at": _instant(shred.keys_destroyed_at),
        "kms_key": _kms_key(shred) if own else None,
        "processes_ended_at": _instant(shred.processes_at),
        "processes": [_process(each) for each in processes if each.ending == "ended"],
        "not_reachable": [_process(each) for each in lost],
        "erased_at": _instant(shred.erased_at),
        "erased": dict(shred.found or {}),
        "remains": [*_remains(logs), *map(_left, shred.kms_left), *map(_in_clear, rooms)],
        "certified_at": _instant(at),
    }
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def document_of(content: str, signature: bytes, public_key: bytes) -> dict[str, Any]:
    """The certificate as it is handed out."""
    return {
        "content": json.loads(content),
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "signature": signature.hex(),
        "public_key": public_key.hex(),
    }


def signed_content(document: object) -> tuple[str, bytes, bytes]:
    """Content, signature and public key of a document. Raises `CertificateBroken`."""
    try:
        assert isinstance(document, Mapping)
        content = json.dumps(
            document["content"], ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        digest, signature = str(document["sha256"]), bytes.fromhex(document["signature"])
        public_key = bytes.fromhex(document["public_key"])
    except (AssertionError, KeyError, TypeError, ValueError):
        raise CertificateBroken("this is no certificate of a shred") from None
    if hashlib.sha256(content.encode()).hexdigest() != digest:
        raise CertificateBroken("the content is not what the hash is of")
    return content, signature, public_key


def certificate_text(document: Mapping[str, Any]) -> str:
    """For people. Every line is of the signed content, but for the last two."""
    told = document["content"]
    kms = told["kms_key"]
    lines = [
        "CERTIFICATE OF CRYPTO-SHRED",
        "",
        f"Tenant            {told['tenant']['name']} ({told['tenant']['id']})",
        f"Mode              {told['mode']}",
        f"Time effective    {told['effective_at']}",
        f"Asked             {told['asked']['at']} by {told['asked']['by']}",
    ]
    if kms is not None:
        when = kms["deletion_at"]
        state = "destroyed" if when is None else f"disabled; deletion: {when}"
        lines.append(f"KMS key           {kms['id']}, {state}")
    lines += [f"Processes ended   {told['processes_ended_at']}"]
    lines += [f"  {_process_line(each)}" for each in told["processes"]]
    if told["not_reachable"]:
        lines.append("Not reachable     nobody has seen these end; an operator declared them gone")
        lines += [f"  {_process_line(each)}" for each in told["not_reachable"]]
    lines.append(f"Content erased    {told['erased_at']}")
    lines += [f"  {count:>10,}  {name}" for name, count in told["erased"].items()]
    lines += ["What remains"]
    lines += [f"  - {each}" for each in told["remains"]]
    lines += ["", f"Certified         {told['certified_at']}"]
    lines += [
        f"SHA-256           {document['sha256']}",
        f"Signature         {document['signature']}",
    ]
    return "\n".join(lines)


def _mode(shred: Shred) -> str:
    """What made content unreadable. A store with nothing left to delete has destroyed the key."""
    if shred.kms_key is None:
        return TENANT_KEY
    return OWN_KMS_KEY_GONE if shred.kms_deletion_at is None else OWN_KMS_KEY


def _kms_key(shred: Shred) -> dict[str, Any]:
    deletion = shred.kms_deletion_at
    return {
        "id": shred.kms_key,
        "disabled": True,
        "deletion_at": None if deletion is None else _instant(deletion),
    }


def _process(holder: Holder) -> dict[str, Any]:
    assert holder.ended_at is not None, "a certificate is of what has ended"
    return {
        "host": holder.host_name,
        "pid": holder.pid,
        "kind": holder.kind,
        "began_at": _instant(holder.began_at),
        "last_seen_at": _instant(holder.seen_at),
        "ended_at": _instant(holder.ended_at),
    }


def _process_line(process: Mapping[str, Any]) -> str:
    who = f"{process['host']} {process['kind']} {process['pid']}"
    return f"{who}  {process['began_at']} to {process['ended_at']}"


def _remains(logs: Sequence[InvocationLog]) -> list[str]:
    remains = [
        "the tenant's name, invoices and credit notes, which the law asks to be kept, and its"
        " contract, which has ended with the day on which the shred was asked for; the id of its"
        " customer at Stripe, where one is or was linked",
        "prepaid credit and what became of it, with the notes that an operator gave it",
        "the ledger, its roll-ups and the balances of its plan: ids, models, counts, amounts,"
        " times, tags and run labels; end users as keyed hashes whose key is destroyed",
        "API keys, revoked, with names and hints, and addresses of webhooks; their secrets are"
        " sealed under the deployment's own key",
        "alerts and notices of budgets, usage and invoices, which name users by hash and runs by"
        " label, and use that an operator announced; facts of batch jobs without a record",
        "backups of the database and of objects that were made before: what is sealed in them"
        " opens with no key that is left",
        "outside of Tenantry: backups of the key store, where somebody keeps any: a key in one of"
        " before opens until that has expired, or until its KMS key is deleted",
    ]
    return remains + [
        f"outside of Tenantry: the invocation log of Bedrock in account {log.account}"
        f" ({log.location}); it holds content where the account's settings deliver it"
        for log in logs
    ]


def _left(arn: str) -> str:
    return (
        f"outside of Tenantry: the KMS key {arn}, which Tenantry did not make for this tenant and"
        " has left as it is; a wrapped key in a backup of before opens by it until whoever holds"
        " it disables or deletes it"
    )


def _in_clear(room: VectorRoom) -> str:
    """What is left of vectors that lay in an engine unsealed, their texts sealed."""
    if room.ending == DECLARED_GONE:
        return (
            f"outside of Tenantry: the vector engine {room.engine}, which an operator declared"
            " gone: nobody has seen vectors of passages deleted there; they lie there unsealed"
        )
    return (
        f"backups and snapshots of the vector engine ({room.engine}) that were made before:"
        " vectors of passages lie there unsealed, their texts sealed"
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
