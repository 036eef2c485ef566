"""How many pieces a chat may have, in whichever API's words it is said.

Judging a request costs its worker time for each piece, before any limit of a plan is asked. So
there are bounds, generous beside what a model takes: a block counts 16 tokens at least here, and a
window that would hold more blocks is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from tenantry.domain.errors import BadRequest

MESSAGES_MAX: Final = 10_000
BLOCKS_MAX: Final = 20_000  # of content, those inside of tool results and documents too
TOOLS_MAX: Final = 10_000  # what Anthropic's search of tools takes, the most of any (2026-11)
STOPS_MAX: Final = 2_500  # Converse's own maximum (botocore 1.44.5, bedrock-runtime)
# Of a body, and of its members `toolConfig`, `inferenceConfig` and Anthropic's own.
_MOST: Final[Mapping[str, int]] = {
    "messages": MESSAGES_MAX,
    "system": BLOCKS_MAX,
    "tools": TOOLS_MAX,
    "stopSequences": STOPS_MAX,
    "stop_sequences": STOPS_MAX,
    "stop": STOPS_MAX,
}
_INNER: Final = ("toolConfig", "inferenceConfig", "additionalModelRequestFields")
_NAMES: Final[Mapping[str, str]] = {
    "system": "blocks in `system`",
    "stopSequences": "stop sequences",
    "stop_sequences": "stop sequences",
    "stop": "stop sequences",
}


def check_shape(body: Mapping[str, Any]) -> None:
    """Raises `BadRequest` for too many messages, tools or stop sequences. Blocks are counted where
    they are bounded. What has another form than theirs is left to whoever reads it."""
    _check(body)
    for name in _INNER:
        part = body.get(name)
        if type(part) is dict:
            _check(part)


def _check(part: Mapping[str, Any]) -> None:
    for name in _MOST.keys() & part.keys():
        value = part[name]
        if type(value) is list and len(value) > _MOST[name]:
            _refuse(_MOST[name], _NAMES.get(name, name), of=name)


def check_parts(messages: object) -> None:
    """The same of the parts and tool calls of OpenAI's messages. Raises `BadRequest`."""
    if isinstance(messages, list):
        check_blocks(sum(map(_parts_of, messages)))


def check_blocks(count: int) -> None:
    """Of all blocks at any depth together. Raises `BadRequest`."""
    if count > BLOCKS_MAX:
        _refuse(BLOCKS_MAX, "content blocks", of="messages")


def check_content(content: list[Any]) -> None:
    """What a guardrail is asked to look at. Raises `BadRequest`."""
    check_blocks(len(content))


def _parts_of(message: object) -> int:
    if not isinstance(message, Mapping):
        return 0
    content, calls = message.get("content"), message.get("tool_calls")
    parts = len(content) if isinstance(content, list) else 0
    return parts + (len(calls) if isinstance(calls, list) else 0)


def _refuse(most: int, pieces: str, *, of: str) -> NoReturn:
    raise BadRequest(f"The request has more than {most:,} {pieces}.", of=of)
