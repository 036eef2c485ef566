"""Reads a prompt as a person would skim it: where are the passages, what is the question?

Convention: `<passage id="1" …>…</passage>`. Also found, because prompts in the wild differ: other
tags (document, source, chunk …), numbered blocks (`[1] …`, `Source 2: …`), text between rows of
dashes or back-ticks, and, failing all, plain paragraphs beside the question.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from bedrock_emulator.engine.prompt import Prompt

PASSAGES_MAX = 32
PASSAGE_MAX = 4_000  # characters of a passage that are compared
QUESTION_MAX = 2_000  # characters
TEXT_MAX = 400_000  # characters of a prompt that are looked at
_TAGS = (
    "passage|document|doc|context|source|excerpt|chunk|snippet|search_result|result|item|article"
)
_OPEN = re.compile(rf"<({_TAGS})\b([^<>]{{0,1000}})>", re.IGNORECASE)
_PARTS = frozenset({"passage", "document", "doc", "chunk", "snippet", "item", "excerpt"})
_NUMBER = re.compile(r"""\b(?:id|index|n|number|no|ref)\s*=\s*["']?([\w.:-]{1,64})""", re.I)
_INNER = re.compile(r"</?[a-zA-Z_][\w-]{0,40}(?:\s[^<>]{0,1000})?>")
_LABEL = re.compile(
    r"^[ \t]*(?:\[(\d{1,3})\]|\((\d{1,3})\)|"
    r"(?:passage|document|doc|source|context|excerpt|chunk|result)\s*#?\s*(\d{1,3})\s*[:.)\]-])",
    re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"^(?:`{3,}\w*|-{3,}|={3,}|\"{3})[ \t]*$", re.MULTILINE)
_QUESTION_TAG = re.compile(r"<(question|query)\b[^<>]*>(.{1,4000}?)</\1>", re.I | re.DOTALL)
_QUESTION_LINE = re.compile(
    r"^[ \t*#]*(?:user(?:'s)? )?(?:question|query|q)[ \t*]*:[ \t*]*(.*(?:\n(?!\s*\n).+)*)",
    re.IGNORECASE | re.MULTILINE,
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_INSTRUCTION = re.compile(
    r"^(?:you are|you must|answer|use (?:only|the)|using|do not|don't|cite|please|based on|"
    r"respond|reply|if the|when you|the following|below|here (?:is|are)|context|passages|sources?|"
    r"documents?)\b.{0,400}$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Passage:
    label: str  # as it is cited: the number or id that the prompt gave
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    question: str
    passages: tuple[Passage, ...]


def read(prompt: Prompt) -> Reading:
    """The question of the last user turn, and the passages of the whole prompt."""
    last = prompt.last_user_text()[-TEXT_MAX:]
    around = prompt.all_text()[-TEXT_MAX:]
    passages, _ = _marked(around)
    _, rest = _marked(last)
    question = (_question(rest) or _question(last))[:QUESTION_MAX]
    if not passages:
        passages = _paragraphs(around, question)
    kept = (Passage(p.label, p.text[:PASSAGE_MAX]) for p in passages[:PASSAGES_MAX])
    return Reading(question, tuple(kept))


def _marked(text: str) -> tuple[list[Passage], str]:
    """Passages that are marked as such, and what is left of the text without them."""
    for find in (_tagged, _labelled, _fenced):
        passages, rest = find(text)
        if passages:
            return passages, rest
    return [], text


def _tagged(text: str) -> tuple[list[Passage], str]:
    passages: list[Passage] = []
    rest: list[str] = []
    folded = text.lower()
    unclosed: set[str] = set()
    at = 0
    for match in _OPEN.finditer(text):
        tag = match[1].lower()
        if match.start() < at or tag in unclosed:
            continue
        end = folded.find(f"</{tag}", match.end())
        if end < 0:
            unclosed.add(tag)
            continue
        nested = _OPEN.search(text, match.end(), end)
        if nested and nested[1].lower() in _PARTS:
            continue  # a wrapper: its parts are the passages
        number = _NUMBER.search(match[2])
        body = html.unescape(_INNER.sub(" ", text[match.end() : end])).strip()
        rest.append(text[at : match.start()])
        at = text.find(">", end) + 1 or len(text)
        if body:
            passages.append(Passage(number[1] if number else str(len(passages) + 1), body))
    rest.append(text[at:])
    return passages, "\n".join(rest)


def _labelled(text: str) -> tuple[list[Passage], str]:
    """Blocks that begin with a number. The last one ends with its paragraph."""
    found = list(_LABEL.finditer(text))
    if not found:
        return [], text
    passages = []
    end_of_last = len(text)
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        block = text[match.end() : end]
        if index + 1 == len(found):
            block = _PARAGRAPH.split(block.lstrip("\n"), maxsplit=1)[0]
            end_of_last = text.find(block, match.end()) + len(block)
        if block.strip():
            passages.append(Passage(match[1] or match[2] or match[3], block.strip()))
    return passages, text[: found[0].start()] + "\n\n" + text[end_of_last:]


def _fenced(text: str) -> tuple[list[Passage], str]:
    parts = _FENCE.split(text)
    if len(parts) < 3:
        return [], text
    inside = [part.strip() for part in parts[1::2]]
    passages = [Passage(str(i), part) for i, part in enumerate(inside, 1) if len(part) > 40]
    return passages, "\n\n".join(parts[0::2])


def _question(text: str) -> str:
    tagged: list[tuple[str, str]] = _QUESTION_TAG.findall(text)
    if tagged:
        return tagged[-1][1].strip()
    found: list[str] = _QUESTION_LINE.findall(text)
    lines = [line.strip() for line in found if line.strip()]
    if lines:
        return lines[-1]
    paragraphs = [part.strip() for part in _PARAGRAPH.split(text) if part.strip()]
    asking = [part for part in paragraphs if part.endswith("?")]
    if asking:
        return _last_sentences(asking[-1])
    return paragraphs[-1] if paragraphs else text.strip()


def _last_sentences(paragraph: str) -> str:
    """Of a long paragraph, the sentence that asks."""
    if len(paragraph) <= 400:
        return paragraph
    return re.split(r"(?<=[.!?])\s+", paragraph)[-1]


def _paragraphs(text: str, question: str) -> list[Passage]:
    """Plain paragraphs that are neither the question nor an instruction."""
    passages: list[Passage] = []
    for part in _PARAGRAPH.split(text):
        part = part.strip()
        if len(part) < 40 or question in part or _INSTRUCTION.match(part):
            continue
        passages.append(Passage(str(len(passages) + 1), part))
    return passages
