"""Tags, groups and metadata in two of Unicode's forms are the same: as they come, and as they were
kept before that."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable
from typing import Any, Literal

import pytest
from tests.support.documents import ALICE, BOB, Scene, World, text

from tenantry.application import documents, ingestion, retrieval
from tenantry.domain import one_form
from tenantry.domain.access import Permission, may_see, tags_from
from tenantry.domain.document import Card, MetadataValue
from tenantry.domain.errors import BadRequest, NotFound
from tenantry.domain.filter import filter_from
from tenantry.domain.upload import Upload, metadata_from

NFC, NFD = "\u00dcnit", "U\u0308nit"
KEY_NFC, KEY_NFD = "caf\u00e9", "cafe\u0301"


def of_before(title: str, **card: Any) -> Upload:
    """An upload whose card is kept in the form it came in, as all once were."""
    upload = text(title, f"apples of {title}")
    return dataclasses.replace(upload, card=dataclasses.replace(upload.card, **card))


def test_tags_and_groups_come_in_one_form() -> None:
    assert tags_from([NFC, NFD]) == tags_from([f" {NFD} "]) == {NFC}
    assert tags_from(["\u212a"]) == {"K"}  # the sign of Kelvin is K
    apart = ["\ufb01x", "fix", "FIX", "Unit", "\u00fcnit", "\u0131x", "ix"]
    assert len(tags_from(apart)) == len(apart)  # what only looks alike opens nothing
    assert len(tags_from(["e\u0301" * 128])) == 1
    for long in ("e\u0301" * 129, "x" * 129, "\u0301" * 513):
        with pytest.raises(BadRequest):
            tags_from([long])


@pytest.mark.parametrize("kept", [NFC, NFD])
def test_tags_that_were_kept_in_any_form_open_for_their_group_alone(kept: str) -> None:
    tags = frozenset({kept, "hr"})
    card = Card("Title", "text/plain", access=tags)
    for groups, seen in (({NFC}, True), ({"Unit"}, False), ({"\u00fcnit"}, False), (set(), False)):
        assert may_see(tags, frozenset(groups)) is seen
        assert Permission(frozenset(groups))(card) is seen


@pytest.mark.parametrize("kept", [NFC, NFD])
def test_every_way_to_a_document_knows_its_tag(played: Callable[[Scene], None], kept: str) -> None:
    async def scene(world: World) -> None:
        made = await ingestion.ingest(
            world.deps, ALICE, of_before("Kept", access=frozenset({kept})), caller=_caller(NFD)
        )
        for groups, expected in ((tags_from([NFD]), ["Kept"]), (frozenset({"Unit"}), [])):
            for where in (None, filter_from({"notEquals": {"key": "x", "value": 1}})):
                for _ in range(2):  # the second one is short
                    found = await retrieval.search(
                        world.deps, ALICE, "apples", groups=groups, where=where
                    )
                    assert [one.title for one in found] == expected
            page = await documents.list_documents(world.deps, ALICE, groups=groups)
            assert [one.card.title for one in page.documents] == expected
        assert await retrieval.search(world.deps, BOB, "apples", groups=frozenset({NFC})) == []
        with pytest.raises(NotFound):
            await documents.get_document(world.deps, BOB, made.document.id, groups=tags_from([NFC]))
        with pytest.raises(NotFound):
            await documents.get_document(world.deps, ALICE, made.document.id)
        await documents.delete_document(
            world.deps, ALICE, made.document.id, groups=tags_from([NFD])
        )

    played(scene)


def _caller(group: str) -> ingestion.Caller:
    return ingestion.Caller(None, tags_from([group]))


@pytest.mark.parametrize("kept", [{KEY_NFC: NFC, "l": (NFC,)}, {KEY_NFD: NFD, "l": (NFD,)}])
@pytest.mark.parametrize(("key", "value"), [(KEY_NFC, NFD), (KEY_NFD, NFC)])
def test_filters_compare_in_one_form(kept: dict[str, Any], key: str, value: str) -> None:
    for name, wanted, expected in (
        ("equals", value, True),
        ("notEquals", value, False),
        ("in", ["x", value], True),
        ("notIn", [value], False),
        ("startsWith", value[:-1], True),
        ("stringContains", value, True),
        ("greaterThanOrEquals", value, True),
        ("lessThan", value, False),
        ("equals", "Unit", False),
    ):
        found = filter_from({name: {"key": key, "value": wanted}})
        assert found is not None and found.matches(kept) is expected, name
    listed = filter_from({"listContains": {"key": "l", "value": value}})
    shorthand = filter_from({key: value})
    assert listed is not None and listed.matches(kept)
    assert shorthand is not None and shorthand.matches(kept)


@pytest.mark.parametrize(
    ("keys", "most"),
    [([f"{'e' + chr(0x301)}{n:03}" for n in range(32)], 32), ([f"k{n}" for n in range(32)], 0)],
)
def test_keys_are_brought_to_one_form_once_a_document(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], most: int
) -> None:
    """However many comparisons ask for keys that it lacks: tenants share the threads."""
    brought: list[str] = []

    def counted(form: Literal["NFC"], text: str) -> str:
        brought.append(text)
        return unicodedata.normalize(form, text)

    where = filter_from(
        {
            "orAll": [
                {"andAll": [{"equals": {"key": f"no{n}", "value": 1}}, {"lang": "en"}]}
                for n in range(30)
            ]
        }
    )
    none = filter_from({"andAll": [{"notEquals": {"key": f"x{n}", "value": 1}} for n in range(60)]})
    assert where is not None and none is not None
    held: dict[str, MetadataValue] = dict.fromkeys(keys, "v")
    monkeypatch.setattr(one_form, "normalize", counted)
    assert none.matches(held)
    assert len(brought) <= most
    assert not where.matches(held)
    assert len(brought) <= 2 * most
    assert not where.matches({"lang": "en", **held})


def test_metadata_stays_as_it_is_given_but_no_key_stands_twice() -> None:
    given = {KEY_NFD: NFD}
    assert metadata_from(given) == given
    with pytest.raises(BadRequest, match="the same"):
        metadata_from({KEY_NFD: 1, KEY_NFC: 1})


@pytest.mark.parametrize(
    "key", ["x-tenantry-document-id", "x-tenantry-", "x-amz-bedrock-kb-source-uri"]
)
def test_names_that_retrieve_gives_itself_are_refused(key: str) -> None:
    with pytest.raises(BadRequest, match=r"begin with `x-(tenantry|amz-bedrock-kb)-` are taken"):
        metadata_from({"lang": "en", key: "forged"})
    assert metadata_from({f"my-{key}": 1, "x-tenant": 2})
