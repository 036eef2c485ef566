"""Refusals as the documentation has them: which codes an answer can mean, or that it means none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.result import ROOT
from benchmarks.soak.wire import Answer

Family = Literal["bedrock", "openai", "tenantry"]
PAGE: Final = ROOT / "docs" / "reference" / "http.md"
_ROW: Final = re.compile(r"\| `([a-z_]+)` \| (\d{3}) `(\w+)` \| (\d{3}) \|")
# OpenAI's own code for what is used up, as the page says.
_SPENT: Final = {"insufficient_quota": ("quota_exceeded", "budget_exceeded")}


@dataclass(frozen=True, slots=True)
class Refusals:
    """`{code: (Bedrock's status, its type, the others' status)}`, as the table of the page."""

    table: Mapping[str, tuple[int, str, int]]

    def codes(self, answer: Answer, family: Family) -> frozenset[str]:
        """What a refusal can mean; nothing where its shape is none that is documented."""
        try:
            body = json.loads(answer.body)
            if family == "bedrock":
                return self._of_bedrock(answer, body)
            named = body["error"]["code"] if family == "openai" else body["code"]
            said = body["error"]["message"] if family == "openai" else body["detail"]
        except (ValueError, TypeError, KeyError):
            return frozenset()
        if not isinstance(said, str) or not said:
            return frozenset()
        meant = _SPENT.get(named, (named,))
        return frozenset(
            code for code in meant if code in self.table and self.table[code][2] == answer.status
        )

    def _of_bedrock(self, answer: Answer, body: Any) -> frozenset[str]:
        told = answer.headers.get("x-amzn-errortype", "")
        if set(body) < {"message"} or not isinstance(body["message"], str):
            return frozenset()
        return frozenset(
            code
            for code, (status, kind, _) in self.table.items()
            if (status, kind) == (answer.status, told)
        )


def documented(page: Path = PAGE) -> Refusals:
    """The table of the reference page, `| code | Bedrock | the others | …`."""
    rows = _ROW.findall(page.read_text(encoding="utf-8"))
    return Refusals({code: (int(aws), kind, int(other)) for code, aws, kind, other in rows})
