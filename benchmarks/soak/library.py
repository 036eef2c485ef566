"""Documents: uploaded, replaced, deleted, searched and asked, and other tenants' tried."""

from __future__ import annotations

import itertools
import json
from typing import Any, Final

from benchmarks.soak.caller import Caller
from benchmarks.soak.shelf import DOCUMENTS_MAX, Document, Shelf, written
from benchmarks.soak.wire import Answer

DOCUMENTS: Final = "/v1/documents"
_ARTICLES: Final = (0, 3, 10, 10, 40, 400)  # the last are some ten passages
_FOUND: Final = 20  # no other passage shares a word with the query
_TOP_K: Final = 2  # the emulator reads every sentence, at its leisure
_numbers: Final = itertools.count(1)


class Library:
    """The shelf of one client, and what it does with it."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.shelf = Shelf()

    def upload(self, caller: Caller) -> None:
        if len(self.shelf.there) >= DOCUMENTS_MAX:
            self.delete(caller)
            return
        document = self._written()
        answer = caller.ask("upload", "tenantry", "POST", DOCUMENTS, _body(document))
        if answer is not None:
            caller.told_charge(answer)
            self._is_ready("upload", answer)
            self.shelf.put(json.loads(answer.body)["id"], document)

    def replace(self, caller: Caller) -> None:
        document_id = self._any()
        if document_id is None:
            self.upload(caller)
            return
        document = self._written()
        path = f"{DOCUMENTS}/{document_id}"
        answer = caller.ask("replace", "tenantry", "PUT", path, _body(document))
        if answer is None:
            self.shelf.doubt(document_id)
        else:
            caller.told_charge(answer)
            self._is_ready("replace", answer)
            self.shelf.put(document_id, document)

    def delete(self, caller: Caller) -> None:
        document_id = next(iter(self.shelf.unsure), None) or self._any()
        if document_id is None:
            return
        may = ("not_found", "conflict") if document_id in self.shelf.unsure else ()
        path = f"{DOCUMENTS}/{document_id}"
        answer = caller.ask("delete", "tenantry", "DELETE", path, may=may)
        if answer is None:
            self.shelf.doubt(document_id)
        else:
            self.shelf.removed(document_id)

    def read(self, caller: Caller) -> None:
        document_id = self._any()
        if document_id is None:
            return
        path = f"{DOCUMENTS}/{document_id}/content"
        answer = caller.ask("content", "tenantry", "GET", path)
        if answer is not None and answer.body != self.shelf.there[document_id].text.encode():
            caller.broke("another document's content", "content", answer, document_id)

    def search(self, caller: Caller) -> None:
        """For a document that is there, or for one that is gone."""
        if self.shelf.gone and caller.chance.random() < 0.3:
            self.look_for_gone(caller, caller.chance.choice(list(self.shelf.gone)))
        elif document_id := self._any():
            self.look_for(caller, document_id)

    def look_for(self, caller: Caller, document_id: str) -> None:
        document = self.shelf.there[document_id]
        passages = self._passages(caller, document.word)
        if passages is None:
            return
        found = {passage["document_id"] for passage in passages if document.word in passage["text"]}
        if document_id not in found:
            caller.broke("an acknowledged document is not found", "search", None, document_id)

    def look_for_gone(self, caller: Caller, word: str) -> None:
        passages = self._passages(caller, word) or ()
        if any(word in passage["text"] for passage in passages):
            was = self.shelf.gone[word]
            caller.broke("a deleted document is found", "search", None, f"{was} {word}")

    def ask(self, caller: Caller) -> None:
        """An answer from the documents."""
        document_id = self._any()
        word = self.shelf.there[document_id].title if document_id else "any note"
        body = {"question": f"What is the word of {word.lower()}?", "top_k": _TOP_K}
        answer = caller.ask("answers", "tenantry", "POST", "/v1/answers", body)
        if answer is not None:
            caller.told_charge(answer)

    def trespass(self, caller: Caller) -> None:
        """Other tenants' documents are not there for us, whatever we would do with them."""
        theirs = [
            document_id
            for other in caller.world.others(caller.member)
            for document_id in other.documents()
        ]
        if not theirs:
            return
        path = f"{DOCUMENTS}/{caller.chance.choice(theirs)}"
        method, path = caller.chance.choice(
            (("GET", path), ("GET", f"{path}/content"), ("DELETE", path), ("PUT", path))
        )
        body = _body(self._written()) if method == "PUT" else b""
        caller.ask("trespass", "tenantry", method, path, body, must="not_found")

    def _passages(self, caller: Caller, word: str) -> list[dict[str, Any]] | None:
        body = {"query": word, "top_k": _FOUND}
        answer = caller.ask("search", "tenantry", "POST", "/v1/search", body)
        if answer is None:
            return None
        caller.told_charge(answer)
        found: list[dict[str, Any]] = json.loads(answer.body)["passages"]
        return found

    def _is_ready(self, kind: str, answer: Answer) -> None:
        if json.loads(answer.body)["status"] != "ready":
            self.caller.broke("an upload of less than 1 MB is not ready", kind, answer)

    def _any(self) -> str | None:
        there = list(self.shelf.there)
        return self.caller.chance.choice(there) if there else None

    def _written(self) -> Document:
        caller = self.caller
        articles = caller.chance.choice(_ARTICLES)
        return written(caller.member.canary, next(_numbers), articles)


def _body(document: Document) -> dict[str, Any]:
    return {"title": document.title, "text": document.text}
