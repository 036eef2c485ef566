"""Passages fit the model that embeds them, and together they are the text."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.core import TITAN, principal
from tests.support.documents import ALICE, LARGE, A, B, World, text
from tests.support.knowledge import MODEL
from tests.support.scripted import core
from tokenizers import Tokenizer

from bedrock_emulator.engine.catalogue import catalogue as emulated
from bedrock_emulator.engine.embeddings import read_embedding
from bedrock_emulator.engine.tokens import tokeniser
from tenantry.adapters.extraction.content_type import MARKDOWN, TEXT
from tenantry.adapters.extraction.splitter import chunks_of
from tenantry.application import documents, indexing, ingestion, patience
from tenantry.domain.catalogue import Catalogue, Model
from tenantry.domain.chunk import CHUNK_BYTES_MAX, CHUNK_CHARS_MAX, Chunk, ChunkLimit
from tenantry.domain.document import DocumentState
from tenantry.domain.embeddable import SPECIAL_TOKENS, chunk_limit

ENGLISH = (
    "The quick brown fox jumps over the lazy dog, again and again; nobody had asked it to. "
    "Refunds are paid within 14 days of the return, unless the goods were damaged (section 3.2). "
)
_HASHES = [hashlib.sha256(bytes([number])).digest() for number in range(40)]
TEXTS = {
    "English": ENGLISH * 40,
    "German": "Die Donaudampfschifffahrtsgesellschaft übernimmt Rechtsschutzversicherungen. " * 80,
    "French": "L'été dernier, nous avons déjà réglé la facture à l'hôtel où elle était. " * 80,
    "Finnish": "Epäjärjestelmällisyydestään huolimatta juoksentelisinkohan vielä. " * 80,
    "Russian": "Возврат денег производится в течение четырнадцати дней. " * 80,
    "Arabic": "يتم رد المبلغ خلال أربعة عشر يوما من تاريخ الإرجاع. " * 80,
    "Thai": "สวัสดีชาวโลกเราคืนเงินภายในสิบสี่วัน" * 100,
    "Japanese": "返品から十四日以内に返金します。日本語の文章は長い。" * 120,
    "Hindi": "वापसी के चौदह दिनों के भीतर पैसा लौटाया जाता है। " * 80,
    "Korean": "반품 후 십사 일 이내에 환불해 드립니다. " * 120,
    "emoji": "\U0001f680\U0001f469\u200d\U0001f469\u200d\U0001f467" * 700,
    "one word": "x" * 5_000,
    "capitals": "THE GOODS MUST BE RETURNED IN THEIR ORIGINAL PACKAGING AT ONCE. " * 80,
    "base64": base64.b64encode(b"".join(_HASHES * 3)).decode(),
    "hashes": "\n".join(one.hex() for one in _HASHES),
    "digits": "3141592653589793 2718281828 1414213562373095 " * 100,
    "signs": "{}[]();:,.<>!?-_=+*&^%$#@~|/\\" * 170,
    "table": "| id | name | amount |\n|---|---|---|\n" + "| 17 | Ann Lee | 1,250.00 |\n" * 150,
    "mixed": (ENGLISH + "日本語の文章は長い。" * 9 + "\U0001f680" * 60 + "\n\n") * 12,
}
MODELS = (
    "amazon.titan-embed-text-v2:0",
    "amazon.titan-embed-image-v1",
    "cohere.embed-english-v3",
    "cohere.embed-multilingual-v3",
    "cohere.embed-v4:0",
)
SMALL = tuple(name for name in MODELS if emulated()[name].window < CHUNK_BYTES_MAX)


def model_of(name: str) -> Model:
    family = "cohere_embed" if name.startswith("cohere") else "titan_embed"
    return replace(TITAN, id=name, family=family, window=emulated()[name].window)


@cache
def wordpiece() -> Any:
    """As of English models that read words in pieces."""
    data = files("bedrock_emulator.engine").joinpath("data/minilm_tokenizer.json")
    made = Tokenizer.from_str(data.read_text("utf-8"))
    made.no_padding()
    made.no_truncation()
    return made


def is_the_text(chunks: list[Chunk], source: str) -> None:
    end = 0
    for chunk in chunks:
        assert source[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert chunk.start >= end
        assert not source[end : chunk.start].strip()
        end = chunk.end
    assert not source[end:].strip()


@pytest.mark.parametrize("content_type", [TEXT, MARKDOWN])
@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_given_each_passage_whole(name: str, language: str, content_type: str) -> None:
    """By the emulator's tokens, which cuts and refuses as Bedrock does, and by word pieces."""
    model, source = model_of(name), TEXTS[language]
    chunks = chunks_of(source, content_type, chunk_limit(model))
    is_the_text(chunks, source)
    sent: list[str] = []
    texts = [chunk.text for chunk in chunks]
    for first in range(0, len(texts), 64):
        some = texts[first : first + 64]
        calls = core().embeddings.plan(
            principal("acme"), Catalogue([model]), name, some, None, "document"
        )
        for call in calls:
            sent += read_embedding(dict(call.body), emulated()[name]).texts
    assert sent == texts, "nothing was cut on the way or by the model"
    for chunk in texts:
        assert tokeniser("cl100k_base").count(chunk) <= model.window
        assert len(wordpiece().encode(chunk).ids) <= model.window


@pytest.mark.parametrize("name", SMALL)
def test_passages_are_not_smaller_than_they_need_be(name: str) -> None:
    limit = chunk_limit(model_of(name))
    for language, share in (("English", 0.4), ("Japanese", 0.5), ("one word", 0.9)):
        chunks = chunks_of(TEXTS[language], TEXT, limit)
        room = min(limit.chars_of(TEXTS[language][:CHUNK_CHARS_MAX]), CHUNK_CHARS_MAX)
        mean = sum(len(chunk.text) for chunk in chunks) / len(chunks)
        assert mean > share * room, language


def test_prose_in_english_is_split_as_for_any_model_where_words_are_read() -> None:
    for name in ("cohere.embed-english-v3", "cohere.embed-multilingual-v3", "cohere.embed-v4:0"):
        limit = chunk_limit(model_of(name))
        assert chunks_of(TEXTS["English"], TEXT, limit) == chunks_of(TEXTS["English"], TEXT)


def test_models_that_take_any_passage_have_one_limit() -> None:
    for name in set(MODELS) - set(SMALL):
        assert chunk_limit(model_of(name)) == ChunkLimit()


any_text = st.text(
    st.one_of(st.sampled_from("ab .,\n\t#*-é𝒳ก日👩‍👩‍👧"), st.characters(exclude_categories=["Cs"])),
    max_size=3_000,
)


@given(
    any_text,
    st.sampled_from([TEXT, MARKDOWN]),
    st.integers(4, CHUNK_BYTES_MAX),
    st.booleans(),
)
def test_no_limit_loses_any_of_a_text(
    source: str, content_type: str, tokens_max: int, words: bool
) -> None:
    limit = ChunkLimit(tokens_max, reads_words=words)
    chunks = chunks_of(source, content_type, limit)
    is_the_text(chunks, source)
    for chunk in chunks:
        size = len(chunk.text.encode())
        assert len(chunk.text) <= CHUNK_CHARS_MAX
        assert size <= CHUNK_BYTES_MAX
        assert words or size <= tokens_max
        assert limit.chars_of(chunk.text) == len(chunk.text)


@pytest.mark.parametrize("window", [1, 5, 8])
def test_a_window_of_next_to_nothing_takes_a_character(window: int) -> None:
    limit = chunk_limit(replace(TITAN, window=window))
    assert limit.tokens_max == max(4, window - SPECIAL_TOKENS)
    is_the_text(chunks_of(TEXTS["emoji"][:100], TEXT, limit), TEXTS["emoji"][:100])


def test_who_takes_over_a_document_splits_it_for_the_model(
    played: Callable[[Callable[[World], Awaitable[None]]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = ChunkLimit(500)

    async def scene(world: World) -> None:
        monkeypatch.setattr(patience, "LEASE_S", 0.0)
        started = asyncio.Event()

        async def hang(*_: object) -> list[list[float]]:
            started.set()
            await asyncio.Event().wait()
            return []

        world.embedder.embed = hang  # type: ignore[method-assign]
        world.embedder.limits = {MODEL: limit}
        taken = (await ingestion.ingest(world.deps, ALICE, text("Large", LARGE))).document
        await started.wait()
        await world.deps.tasks.close()
        following = world.again()
        following.embedder.limits = {MODEL: limit}
        assert await indexing.resume_indexing(following.deps, [A, B]) == 1
        await following.deps.tasks.settle()
        shown = await documents.get_document(following.deps, ALICE, taken.id)
        assert shown.status is DocumentState.READY
        assert shown.passages == taken.progress.total > 2_400
        assert all(len(sent) <= 500 for _, sent in following.embedder.texts)
        following.partitions.close()

    played(scene)
