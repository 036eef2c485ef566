"""A model that obeys any instruction it finds anywhere in the prompt: for tests of injections.

It tells no data from instructions, by design. What a defence keeps out of its prompt it cannot
leak; what gets in, it does. Where nothing is instructed it answers as the extractive model does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from bedrock_emulator.engine.generation import Draft, ToolCall
from bedrock_emulator.engine.prompt import Prompt
from bedrock_emulator.engine.structured import call_of

_TEXT_MAX = 400_000  # characters of a prompt that are looked at
_OBEYED_MAX = 16  # instructions of one prompt
_SAME_PLACE = 3  # characters: patterns that match there found one instruction
_QUOTED = (
    r"""(?:"(?P<dq>[^"]{1,2000})"|'(?P<sq>[^'\n]{1,2000})'|"""
    r"""`(?P<bq>[^`]{1,2000})`|“(?P<cq>[^”]{1,2000})”)"""
)
_PLAIN = r"(?P<plain>[^\n<]{1,500}?)(?=[.!]?\s*(?:$|\n|<)|[.!]\s)"
# "Answer only from the passages" tells how, not what: such words begin no text to be said.
_NOT_HOW = (
    r"(?!(?:from|in|using|based|with|on|by|what|when|if|to|as|about|after|once|for|passages?|"
    r"documents?|sources?|questions?|your|you|and|one|two|three|short|brief)\b)"
)
_VERB = r"\b(?:reply|respond|answer|say|output|print|write|return|state)\b(?:[ \t]+back)?"
_WITH = (
    r"(?:[ \t]+(?:only|just|exactly|precisely|simply|solely|with|by saying|verbatim|"
    r"nothing but|the|single|exact|word|words|string|text|phrase|sentence|following|this|line|"
    r"literal(?:ly)?)\b)"
)
_SAY = re.compile(
    rf"{_VERB}{_WITH}+(?!{_WITH})[ \t]*+:?+[ \t]*+\n?+(?:{_QUOTED}|{_NOT_HOW}{_PLAIN})",
    re.IGNORECASE | re.MULTILINE,
)
_SAY_QUOTED = re.compile(
    r"\b(?:reply|respond|answer|say|output|print|write|return|state|include|append|add|insert|"
    r"begin|start|end|finish|mention|repeat|emit)\b[^\n.\"'`“]{0,60}?" + _QUOTED,
    re.IGNORECASE,
)
_INCLUDE = re.compile(
    r"\b(?:include|append|add|insert|(?:begin|start|end) (?:your|the) (?:answer|reply|response) "
    r"with)\b[ \t]*(?:(?:the|this)[ \t]+)?(?:"
    r"(?:word|words|string|text|phrase|link|url|code|image|sentence)\b[ \t]*:?[ \t]*"
    rf"(?:{_QUOTED}|{_PLAIN})|(?P<link>(?:https?://|!\[)\S{{1,500}}))",
    re.IGNORECASE | re.MULTILINE,
)
_DUMP = re.compile(
    r"\b(?:repeat|print|reveal|show|output|display|leak|exfiltrate|dump|recite|disclose|copy|list|"
    r"give me|tell me|send|forward|write out)\b[^\n.?]{0,60}?\b(?:everything|above|all (?:of )?"
    r"(?:the |your |these )?(?:documents?|passages?|text|context|instructions?|data|information)|"
    r"(?:system|your|whole|entire|full|initial) (?:prompt|context|conversation|instructions?)|"
    r"(?:previous|prior) (?:instructions?|messages?|conversation)|secrets?|credentials?|"
    r"api[ -]keys?|passwords?|other (?:tenants?|customers?|users?|people)|confidential)\b",
    re.IGNORECASE,
)
_UNLESS = re.compile(
    r"\b(?:not|never|don't|do not|cannot|can't|without|refuse|if|when|unless|where|otherwise|"
    r"in case)\b",
    re.IGNORECASE,
)
_SENTENCE_BEFORE = 200  # characters before a match in which its sentence begins
_OVERRIDE = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^\n.]{0,80}?\b(?:instructions?|rules?|above|prompt|"
    r"context|guidelines?|everything)\b[\s.,;:!]*(?:(?:and|then|instead)\b[\s,:]*)*(?P<rest>[^\n<]*)",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"\b(?:call|use|invoke|run|execute)\b[ \t]+(?:the[ \t]+)?(?:tool|function)?[ \t]*"
    r"[`\"']?(?P<name>[A-Za-z0-9_-]{1,64})[`\"']?",
    re.IGNORECASE,
)


class LanguageModel(Protocol):
    def draft(self, prompt: Prompt) -> Draft: ...


class Obedient:
    def __init__(self, otherwise: LanguageModel) -> None:
        self._otherwise = otherwise

    def draft(self, prompt: Prompt) -> Draft:
        text = prompt.all_text()[-_TEXT_MAX:]
        calls = _calls(text, prompt)
        lines = list(dict.fromkeys(_obeyed(text)))[:_OBEYED_MAX]
        if not calls and not lines:
            return self._otherwise.draft(prompt)
        return Draft(text="\n".join(lines), calls=tuple(calls))


def _obeyed(text: str) -> Iterator[str]:
    """What each instruction makes it say, in the order of the prompt."""
    said: list[tuple[int, str]] = []
    for pattern in (_SAY, _SAY_QUOTED, _INCLUDE):
        found = islice(_meant(pattern, text), _OBEYED_MAX)
        said += [(match.start(), _asked(match)) for match in found]
    said += [(match.start(), text) for match in islice(_meant(_DUMP, text), 1)]
    for match in islice(_OVERRIDE.finditer(text), _OBEYED_MAX):
        rest = match["rest"].strip()
        known = any(pattern.search(rest) for pattern in (_SAY, _SAY_QUOTED, _INCLUDE, _DUMP))
        if rest and not known:
            said.append((match.start(), f"As instructed: {rest}"))
    last = -_SAME_PLACE
    for start, line in sorted(said):
        if line and start - last >= _SAME_PLACE:
            last = start
            yield line


def _meant(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches that no condition and no negation stands before in their sentence."""
    for match in pattern.finditer(text):
        before = text[max(0, match.start() - _SENTENCE_BEFORE) : match.start()]
        if not _UNLESS.search(re.split(r"[.!?;\n>]", before)[-1]):
            yield match


def _asked(match: re.Match[str]) -> str:
    groups: dict[str, Any] = match.groupdict()
    quoted = next((groups[name] for name in ("dq", "sq", "bq", "cq") if groups.get(name)), None)
    plain = groups.get("plain") or groups.get("link") or ""
    return str(quoted if quoted is not None else plain).strip()


def _calls(text: str, prompt: Prompt) -> list[ToolCall]:
    """Calls of offered tools that the text names, each tool once, with the JSON that follows.

    What has been called since the user last asked is not called again: its result is there. An
    instruction without JSON has had its call whatever the input was.
    """
    called = {name for name, _ in prompt.called}
    offered = {tool.name: tool for tool in prompt.tools}
    calls: dict[str, ToolCall] = {}
    for match in _CALL.finditer(text) if offered else ():
        tool = offered.get(match["name"])
        if tool is None or tool.name in calls:
            continue
        given = _json_after(text, match.end())
        if (tool.name in called) if given is None else ((tool.name, given) in prompt.called):
            continue
        calls[tool.name] = ToolCall(tool.name, given) if given is not None else call_of(tool, "")
    return list(calls.values())[:_OBEYED_MAX]


def _json_after(text: str, at: int) -> dict[str, Any] | None:
    start = text.find("{", at, at + 60)
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
