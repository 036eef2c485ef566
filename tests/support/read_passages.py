"""A passage that counts how often its text is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenantry.domain.document import Metadata


@dataclass
class ReadPassage:
    """Stands in for `Passage`; reading `text` is what is counted."""

    whole: str
    times: int = 0
    document_id: str = "doc_1"
    title: str = "Guide"
    score: float = 0.5
    start: int = 0
    end: int = 1
    metadata: Metadata = field(default_factory=dict)

    @property
    def text(self) -> str:
        self.times += 1
        return self.whole
