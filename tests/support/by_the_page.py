"""A reader of a home that knows `docs/reference/sealed-format.md` and nothing of the product.

It is written from the page alone and imports nothing of what it checks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PAGE = Path(__file__).parents[2] / "docs/reference/sealed-format.md"
CATALOGUE, HIGH, LOW, PASSAGES = 2, 4, 5, 6


def examples() -> dict[str, Any]:
    """Those at the end of the page."""
    _, _, after = PAGE.read_text("utf-8").partition("## Examples\n")
    found: dict[str, Any] = json.loads(after.partition("```json\n")[2].partition("```")[0])
    return found


def bound(*fields: str | bytes | int) -> bytes:
    """Associated data."""
    written = b""
    for field in fields:
        kind = {str: b"s", bytes: b"b", int: b"i"}[type(field)]
        raw = field if isinstance(field, bytes) else str(field).encode()
        written += kind + len(raw).to_bytes(4, "big") + raw
    return written


def folder_of(tenant: str) -> str:
    return hashlib.sha256(b"tenantry/objects/" + tenant.encode()).hexdigest()[:32]


def context_of(tenant: str, kms_key: str, version: int) -> dict[str, str]:
    """What AWS KMS is given beside a tenant key."""
    return {
        "tenantry:tenant": tenant,
        "tenantry:kms-key": kms_key,
        "tenantry:version": str(version),
    }


def binding_of(tenant: str, kms_key: str, version: int) -> bytes:
    """What a key of the machine wraps a tenant key with."""
    key = bound("tenantry/tenant-key/v1", tenant, kms_key, version)
    return bound("tenantry/kms/v1", kms_key, key)


def unwrapped(root: bytes, wrapped: bytes, tenant: str, kms_key: str, version: int) -> bytes:
    assert len(wrapped) == 12 + 32 + 16
    return AESGCM(root).decrypt(wrapped[:12], wrapped[12:], binding_of(tenant, kms_key, version))


def subkey(tenant_key: bytes, purpose: str, context: bytes) -> bytes:
    info = bound("tenantry/subkey/v1", purpose, context)
    return HKDF(SHA256(), 32, salt=None, info=info).derive(tenant_key)


def blob_opened(tenant_key: bytes, sealed: bytes, tenant: str, kind: str, name: str) -> bytes:
    header, body = sealed[:40], sealed[40:]
    assert header[:4] == b"TNB1"
    key = subkey(tenant_key, "blob", header[8:])
    return AESGCM(key).decrypt(
        bytes(12), body, bound("tenantry/blob/v1", tenant, kind, name, header)
    )


def original_of(plain: bytes) -> tuple[dict[str, Any], bytes]:
    """Card and uploaded bytes."""
    form, length = struct.unpack_from(">HI", plain)
    assert form == 1
    return json.loads(plain[6 : 6 + length]), plain[6 + length :]


@dataclass(frozen=True)
class Segment:
    dimensions: int
    cards: dict[str, list[Any]]  # by document: title, content type, file name, metadata, tags
    passages: list[tuple[str, int, int, str]]  # of each row: document, start, end, text
    vectors: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Home:
    """The folder `accounts` of a home, and one tenant in it."""

    accounts: Path
    account: str
    tenant: str

    def tenant_key(self, version: int) -> bytes:
        place = self.accounts / self.account
        held = json.loads((place / f"keys/{self.tenant}/{version}.json").read_bytes())
        assert held["format"] == 1
        root = json.loads((place / f"kms/{held['kms_key']}.json").read_bytes())
        return unwrapped(
            base64.b64decode(root["key"]),
            base64.b64decode(held["wrapped"]),
            self.tenant,
            held["kms_key"],
            version,
        )

    @property
    def folder(self) -> Path:
        return self.accounts / self.account / "objects" / folder_of(self.tenant)

    def object(self, kind: str, name: str) -> bytes:
        return (self.folder / kind / name).read_bytes()

    def blob(self, kind: str, name: str) -> bytes:
        sealed = self.object(kind, name)
        key = self.tenant_key(int.from_bytes(sealed[4:8], "big"))
        return blob_opened(key, sealed, self.tenant, kind, name)

    def planes(self, name: str, generation: int) -> dict[int, bytes]:
        sealed = self.object("segments", name)
        magic, version, count = struct.unpack_from(">4sIH", sealed)
        assert magic == b"TNS2" and count <= 16
        at = 10 + 14 * count
        header = sealed[:at]
        cipher = AESGCM(subkey(self.tenant_key(version), "segment", name.encode()))
        planes = {}
        for number in range(count):
            plane, frame_bytes, left = struct.unpack_from(">HIQ", header, 10 + 14 * number)
            frames = []
            while left:
                size = min(frame_bytes, left) + 16
                binding = bound("tenantry/segment/v2", self.tenant, name, generation)
                binding += bound(plane, len(frames), header)
                nonce = struct.pack(">IQ", plane, len(frames))
                frames.append(cipher.decrypt(nonce, sealed[at : at + size], binding))
                at, left = at + size, left - size + 16
            planes[plane] = b"".join(frames)
        assert at == len(sealed)
        return planes

    def segment(self, name: str, generation: int) -> Segment:
        planes = self.planes(name, generation)
        found = msgspec.msgpack.decode(planes[CATALOGUE])
        form, dimensions, ids, cards, card_ends, places, ends, scale, _ = found
        assert form == 2
        cut = [0, *np.frombuffer(card_ends, "<u4").tolist()]
        opened = [msgspec.msgpack.decode(cards[a:b]) for a, b in pairwise(cut)]
        rows = np.frombuffer(places, "<u4").tolist()
        cut = [0, *np.frombuffer(ends, "<u4").tolist()]
        passages = []
        for row, place in enumerate(rows):
            record = planes[PASSAGES][cut[row] : cut[row + 1]]
            start, end = struct.unpack_from("<II", record)
            passages.append((ids[place], start, end, record[8:].decode()))
        high = np.frombuffer(planes[HIGH], "u1").reshape(len(rows), dimensions).astype(int) - 128
        low = np.frombuffer(planes[LOW], "i1").reshape(len(rows), dimensions)
        vectors = np.frombuffer(scale, "<f4").astype(float)[:, None] * (256 * high + low)
        return Segment(dimensions, dict(zip(ids, opened, strict=True)), passages, vectors)
