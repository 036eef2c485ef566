"""Whose calls a file of Bedrock's invocation log tells of, by its name."""

from __future__ import annotations

import re

_OF = re.compile(
    r"(?:^|/)AWSLogs/(?P<account>[0-9]{12})/BedrockModelInvocationLogs/(?P<region>[a-z0-9-]+)/",
    re.ASCII,
)


def place_of(name: str) -> tuple[str, str] | None:
    """Account and region of a file that lies as Bedrock delivers it; None: it may be of any."""
    found = _OF.search(name)
    return None if found is None else (found["account"], found["region"])
