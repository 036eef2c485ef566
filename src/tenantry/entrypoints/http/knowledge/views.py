"""The JSON of documents, passages and answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tenantry.application.answers import Answer
from tenantry.domain.chunk import Passage
from tenantry.domain.document import Document, Progress, Replacement
from tenantry.domain.money import plain
from tenantry.domain.prompt import Citation
from tenantry.domain.usage import Usage
from tenantry.ports.reindexing import Reindex


def from_document(document: Document) -> dict[str, Any]:
    card, pages = document.card, document.pages
    return {
        "id": document.id,
        "status": str(document.status),
        "title": card.title,
        "file_name": card.file_name,
        "content_type": card.content_type,
        "metadata": dict(card.metadata),
        "access": sorted(card.access),
        "size_bytes": document.size_bytes,
        "passages": document.passages,
        "pages": None if pages is None else pages.total,
        "pages_without_text": None if pages is None else pages.without_text,
        "created_at": document.created_at,
        "updated_at": document.updated_at,
        "failure": document.failure,
        "progress": from_progress(document.progress),
        "replacement": _replacement(document.replacement),
    }


def _replacement(version: Replacement | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {
        "status": str(version.status),
        "size_bytes": version.size_bytes,
        "created_at": version.created_at,
        "failure": version.failure,
        "progress": from_progress(version.progress),
    }


def from_progress(progress: Progress) -> dict[str, int]:
    return {"done": progress.done, "total": progress.total}


def from_reindex(reindex: Reindex) -> dict[str, Any]:
    return {
        "id": reindex.id,
        "status": str(reindex.state),
        "model": reindex.space.model,
        "dimensions": reindex.space.dimensions,
        "documents": from_progress(reindex.documents),
        "passages": from_progress(reindex.passages),
        "api_key_id": reindex.api_key_id,
        "failure": reindex.failure,
        "failed_document_id": reindex.failed_document_id,
        "created_at": reindex.created_at,
        "updated_at": reindex.updated_at,
    }


def from_passage(passage: Passage) -> dict[str, Any]:
    return {
        "document_id": passage.document_id,
        "title": passage.title,
        "text": passage.text,
        "score": passage.score,
        "start": passage.start,
        "end": passage.end,
    }


def from_citation(citation: Citation) -> dict[str, Any]:
    return {
        "number": citation.number,
        "document_id": citation.document_id,
        "title": citation.title,
        "text": citation.text,
        "start": citation.start,
        "end": citation.end,
    }


def from_grounds(citations: Iterable[Citation], passages: Iterable[Passage]) -> dict[str, Any]:
    """What a chat was given of the documents, and what it cites of that."""
    return {
        "citations": [from_citation(citation) for citation in citations],
        "passages": [from_passage(passage) for passage in passages],
    }


def from_usage(usage: Usage) -> dict[str, int]:
    """Counts by class, as `/v1/usage` has them."""
    return {str(name): count for name, count in usage.items()}


def from_answer(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.answer,
        "citations": [from_citation(citation) for citation in answer.citations],
        "usage": from_usage(answer.usage),
        "charge": None if answer.charge is None else plain(answer.charge),
        "currency": answer.currency,
        "request_id": str(answer.request_id),
    }
