"""A port as `/openapi.json` describes it, against which what it takes and answers is held."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from tests.support.json_schema import Validator

METHODS = ("get", "post", "put", "patch", "delete")
# What every answer has, by HTTP itself or as a matter of how it is sent.
_OF_HTTP = {
    "content-type", "content-length", "date", "connection", "transfer-encoding", "server",
    "x-content-type-options", "keep-alive", "cache-control", "x-accel-buffering",
}  # fmt: skip


class Described:
    """One document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.operations: dict[str, Mapping[str, Any]] = {
            f"{method.upper()} {template}": methods[method]
            for template, methods in document["paths"].items()
            for method in METHODS
            if method in methods
        }
        self._open = Validator(document)
        self._closed = Validator(document, closed=True)

    def resolved(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._open.resolve(told["$ref"]) if "$ref" in told else told

    def parameters(self, line: str) -> list[Mapping[str, Any]]:
        return [self.resolved(one) for one in self.operations[line]["parameters"]]

    def named(self, line: str, where: str) -> set[str]:
        return {one["name"] for one in self.parameters(line) if one["in"] == where}

    def line_of(self, method: str, path: str) -> str:
        """The operation of a path, one without parameters first."""
        lines = [line for line in self.operations if line.startswith(f"{method} ")]
        for line in sorted(lines, key=lambda line: line.count("{")):
            template = re.escape(line.partition(" ")[2])
            if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", template), path):
                return line
        raise AssertionError(f"{method} {path} is not described")

    def schema_of_body(self, line: str) -> Mapping[str, Any] | None:
        body = self.operations[line].get("requestBody")
        return None if body is None else body["content"]["application/json"]["schema"]

    def wrong_in_body(self, line: str, body: Any) -> list[str]:
        schema = self.schema_of_body(line)
        return [f"{line} takes no body"] if schema is None else self._open.problems(schema, body)

    def wrong_in_answer(
        self, line: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        """What a real answer has that is not described, or is described otherwise."""
        responses = self.operations[line]["responses"]
        told = responses.get(str(status)) or (status >= 400 and responses.get(f"{status // 100}XX"))
        if not told:
            return [f"{line}: {status} is not described"]
        response = self.resolved(told)
        known = {name.lower() for name in response.get("headers", {})}
        problems = [f"the header {name}" for name in headers.keys() - known - _OF_HTTP]
        media = headers.get("content-type", "").partition(";")[0]
        content = response.get("content")
        if content is None:
            return problems + (["a body"] if body else [])
        described = content.get(media) or content.get("*/*")
        if described is None:
            return [*problems, f"{media or 'no media type'} is not described"]
        if media.endswith("json"):
            # What Bedrock answers is passed on with whatever it comes to have.
            own = self.operations[line]["tags"] == ["Tenantry"] or status >= 400
            validator = self._closed if own else self._open
            problems += validator.problems(described["schema"], orjson.loads(body))
        return [f"{line} {status}: {problem}" for problem in problems]
