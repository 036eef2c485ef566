"""`docs/reference/sealed-format.md` is enough to open a home: its examples are the code's, and a
reader that was written from it opens what an earlier day's writer left."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from tests.support import by_the_page, golden_home
from tests.support.golden_home import CARD, DATA, HOME, ORIGINAL, TEXTS, VECTORS
from tests.support.knowledge import Parts, parts

from tenantry.adapters.keys import aws_kms, local_kms
from tenantry.domain.document import Home
from tenantry.domain.ids import TenantId
from tenantry.domain.original import unpack_original
from tenantry.ports.keys import KeyName, Purpose
from tenantry.ports.objects import ObjectKind

GIVEN = by_the_page.examples()
TENANT, KMS_KEY, VERSION = GIVEN["tenant"], GIVEN["kms_key"], GIVEN["version"]
NAME = KeyName(TenantId(TENANT), VERSION, KMS_KEY)
EXAMPLE_HOME = Home(TenantId(TENANT), GIVEN["account"])
SEALED = base64.b64decode(GIVEN["original"]["sealed_base64"])
GOLDEN: dict[str, Any] = json.loads(golden_home.FILE.read_text("utf-8"))


def laid_down(root: Path) -> Parts:
    """The examples as a home, for today's readers."""
    account = f"accounts/{GIVEN['account']}"
    key = {"format": 1, "tenant": TENANT, "version": VERSION, "kms_key": KMS_KEY}
    kms = base64.b64encode(bytes.fromhex(GIVEN["kms_key_bytes"])).decode()
    held = {"format": 1, "key_id": KMS_KEY, "enabled": True, "key": kms}
    files = {
        f"{account}/keys/{TENANT}/{VERSION}.json": {**key, "wrapped": GIVEN["wrapped_base64"]},
        f"{account}/kms/{KMS_KEY}.json": held,
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
    return parts(root)


def test_the_page_says_what_a_local_kms_key_wraps(tmp_path: Path) -> None:
    binding = bytes.fromhex(GIVEN["wrapping_aad"])
    assert local_kms._binding(NAME) == binding
    assert by_the_page.binding_of(TENANT, KMS_KEY, VERSION) == binding
    root, wrapped = bytes.fromhex(GIVEN["kms_key_bytes"]), base64.b64decode(GIVEN["wrapped_base64"])
    key = bytes.fromhex(GIVEN["tenant_key"])
    assert by_the_page.unwrapped(root, wrapped, TENANT, KMS_KEY, VERSION) == key
    for other in (("tnt_x", KMS_KEY, 1), (TENANT, "own-x", 1), (TENANT, KMS_KEY, 2)):
        with pytest.raises(InvalidTag):
            by_the_page.unwrapped(root, wrapped, *other)

    async def run() -> None:
        own = laid_down(tmp_path)
        (held,) = await own.keys.versions(EXAMPLE_HOME)
        assert held.name == NAME and held.wrapped == wrapped
        assert await own.kms.unwrap(GIVEN["account"], held) == key

    asyncio.run(run())


def test_the_page_says_what_aws_kms_is_told() -> None:
    told = GIVEN["encryption_context"]
    assert aws_kms._context(NAME) == told
    assert by_the_page.context_of(TENANT, KMS_KEY, VERSION) == told
    text = by_the_page.PAGE.read_text("utf-8").partition("## Examples")[0]
    assert [name for name in told if f"`{name}`" not in text] == []


def test_the_page_says_where_an_object_lies(tmp_path: Path) -> None:
    assert by_the_page.folder_of(TENANT) == GIVEN["folder"]
    own = laid_down(tmp_path)
    asyncio.run(own.objects.put(EXAMPLE_HOME, ObjectKind.ORIGINAL, "example", b"x"))
    (path,) = tmp_path.rglob("objects/*/*/example")
    place = f"accounts/{GIVEN['account']}/objects/{GIVEN['folder']}/originals/example"
    assert path.relative_to(tmp_path).as_posix() == place


def test_the_page_says_how_a_subkey_is_derived(tmp_path: Path) -> None:
    said = GIVEN["subkey"]
    context, expected = bytes.fromhex(said["context"]), bytes.fromhex(said["bytes"])
    key = bytes.fromhex(GIVEN["tenant_key"])
    assert by_the_page.subkey(key, said["purpose"], context) == expected
    keys = laid_down(tmp_path).keys
    derived = keys.subkey(EXAMPLE_HOME, VERSION, Purpose(said["purpose"]), context)
    assert asyncio.run(derived) == expected


def test_the_page_says_how_an_original_is_sealed(tmp_path: Path) -> None:
    kind, name = ObjectKind.ORIGINAL.value, GIVEN["original"]["object_id"]
    key = bytes.fromhex(GIVEN["tenant_key"])
    plain = by_the_page.blob_opened(key, SEALED, TENANT, kind, name)
    card, data = by_the_page.original_of(plain)
    assert data == b"hi" and card["title"] == "Hi"
    own = laid_down(tmp_path)
    assert asyncio.run(own.sealer.open(EXAMPLE_HOME, kind, name, SEALED)) == plain
    found, same = unpack_original(plain)
    assert (found.title, found.file_name, same) == ("Hi", "hi.txt", data)


def test_a_home_of_an_earlier_day_opens_by_the_page(tmp_path: Path) -> None:
    golden_home.laid_down(GOLDEN, tmp_path)
    home = by_the_page.Home(tmp_path / "accounts", HOME.account, HOME.tenant_id)
    card, data = by_the_page.original_of(home.blob("originals", ORIGINAL))
    assert data == DATA and card["title"] == CARD.title and card["metadata"]["year"] == 2026
    row = golden_home.row_of(GOLDEN)
    segment = home.segment(row.id, row.generation)
    assert sorted(segment.cards) == sorted(row.documents)
    assert sorted(text for *_, text in segment.passages) == sorted(TEXTS)
    unit = np.array(VECTORS) / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    order = [TEXTS.index(text) for *_, text in segment.passages]
    assert segment.vectors == pytest.approx(unit[order], abs=1e-3)
    with pytest.raises(InvalidTag):
        home.planes(row.id, row.generation + 1)


def test_the_reader_knows_nothing_of_the_product() -> None:
    text = Path(by_the_page.__file__).read_text("utf-8")
    assert "import tenantry" not in text and "from tenantry" not in text
