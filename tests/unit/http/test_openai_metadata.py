"""OpenAI's `metadata` annotates: what OpenAI takes is not refused, but for our own marks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.application.upstream import OWN_METADATA, check_metadata
from tenantry.domain.errors import BadRequest
from tenantry.entrypoints.http.bedrock.metadata import request_metadata
from tenantry.entrypoints.http.openai.metadata import to_request_metadata

CHARACTERS = st.characters(exclude_categories=["Cs"])


def keys(chars_max: int) -> st.SearchStrategy[str]:
    return st.text(CHARACTERS, max_size=chars_max).filter(lambda key: key not in OWN_METADATA)


METADATA = st.dictionaries(keys(64), st.text(CHARACTERS, max_size=512), max_size=16)


def test_what_bedrock_takes_stays_as_it_is() -> None:
    assert to_request_metadata({"feature": "a = b", "team": ""}) == {"feature": "a = b", "team": ""}
    assert to_request_metadata(None) == {}


@pytest.mark.parametrize("key", sorted(OWN_METADATA))
def test_our_own_keys_are_refused(key: str) -> None:
    with pytest.raises(BadRequest, match=f"the reserved key `{key}`"):
        to_request_metadata({"x": "y", key: "tnt_bolt"})
    assert to_request_metadata({key.upper(): "prod"}) == {key.upper(): "prod"}


def test_what_bedrock_does_not_take_is_escaped_or_cut() -> None:
    told = to_request_metadata({"città": "Zürich!", "long": "x" * 300, "cut": "é" * 50, "": "y"})
    assert told == {
        "citt=C3=A0": "Z=C3=BCrich=21",
        "long": "x" * 256,
        "cut": "=C3=A9" * 42,
    }


def test_two_names_that_differ_stay_two() -> None:
    assert to_request_metadata({"é": "1", "=C3=A9": "=", "a=c3": "a=b", "==": "=0"}) == {
        "=C3=A9": "1",
        "=3DC3=3DA9": "=",
        "a=3Dc3": "a=b",
        "==": "=0",
    }


LIKE_OURS = st.text(st.sampled_from("=C3A9dé !g\U0001f600"), max_size=20)


@given(st.dictionaries(LIKE_OURS | keys(20), LIKE_OURS, max_size=16))
def test_what_is_not_cut_can_be_told_again(metadata: dict[str, str]) -> None:
    kept = to_request_metadata(metadata)
    told = [(key, value) for key, value in metadata.items() if key][:12]
    assert [(_meant(key), _meant(value)) for key, value in kept.items()] == told


def _meant(text: str) -> str:
    raw = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return raw.decode()


def test_the_first_twelve_are_kept() -> None:
    kept = to_request_metadata({f"k{i}": "v" for i in range(16)})
    assert list(kept) == [f"k{i}" for i in range(12)]


@given(METADATA)
def test_what_openai_takes_is_taken_by_bedrock(metadata: dict[str, str]) -> None:
    kept = to_request_metadata(metadata)
    assert request_metadata(kept) == kept
    check_metadata(kept)
    assert not OWN_METADATA & kept.keys()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({f"k{i}": "v" for i in range(17)}, "at most 16 pairs"),
        ({"k" * 65: "v"}, "keys of at most 64 characters"),
        ({"k": "v" * 513}, "values of at most 512 characters"),
    ],
)
def test_beyond_openais_own_bounds_it_is_refused(metadata: dict[str, str], words: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(f"`metadata` takes {words}.")) as told:
        to_request_metadata(metadata)
    assert told.value.details["param"] == "metadata"
