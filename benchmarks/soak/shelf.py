"""A client's own documents, as the gateway has acknowledged them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

DOCUMENTS_MAX: Final = 40  # of a client: then it deletes more often than it uploads


@dataclass(frozen=True, slots=True)
class Document:
    """`word` stands in this version alone, and in no other document of anybody."""

    title: str
    word: str
    text: str


@dataclass(slots=True)
class Shelf:
    """What is there for certain, and what is gone for certain.

    A change whose answer was lost may have been made or not: such a document is in neither until
    it is deleted. `gone` are words that no search may find, of earlier versions too.
    """

    there: dict[str, Document] = field(default_factory=dict)  # by id
    unsure: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    gone: dict[str, str] = field(default_factory=dict)  # word → id

    def put(self, document_id: str, document: Document) -> None:
        """Added, or in the place of an earlier version."""
        before = self.there.get(document_id)
        if before is not None:
            self.gone[before.word] = document_id
        self.unsure.discard(document_id)
        self.there[document_id] = document

    def removed(self, document_id: str) -> None:
        before = self.there.pop(document_id, None)
        if before is not None:
            self.gone[before.word] = document_id
        self.unsure.discard(document_id)
        self.deleted.add(document_id)

    def doubt(self, document_id: str) -> None:
        """Nobody knows which version is there, or whether one is."""
        self.there.pop(document_id, None)
        self.unsure.add(document_id)


def written(canary: str, number: int, articles: int) -> Document:
    """A document of a tenant: its canary, a word of its own, and a sentence of some articles. One,
    because the emulator's model embeds each sentence that it is asked about."""
    word = f"w{secrets.token_hex(8)}"
    more = ", ".join(f"article {n} of note {number} is kept" for n in range(articles))
    text = f"The word of note {number} is {word}, of the house {canary}. {more}"
    return Document(f"Note {number}", word, text)
