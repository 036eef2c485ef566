"""A guardrail on a call: which one, and the most that it can be billed.

Bedrock bills a guardrail by units of up to 1,000 characters of what it looks at, once for each of
its policies, and by images. It looks at the prompt's texts and at the answer's. Which policies a
guardrail has is known to its account alone, so a bound counts a unit under every policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tenantry.domain.catalogue import Model, Resolved
from tenantry.domain.errors import BadRequest
from tenantry.domain.price import GUARDRAILS
from tenantry.domain.usage import GUARDRAIL_CLASSES, NO_USAGE, TokenClass, Usage

CHARS_PER_UNIT: Final = 1_000  # Amazon Bedrock pricing, guardrails (read 2026-11)
# Of an answer's bound. The longest runs of characters that vocabularies hold as one token are
# blanks and rules; a text of such tokens alone would pass this, and be posted as over_reserved.
CHARS_PER_TOKEN_MAX: Final = 16
CHARS_PER_TOKEN_USUAL: Final = 4  # of an estimate, where an answer was counted and never seen
_IDENTIFIER = re.compile(  # as the service model of bedrock-runtime has it
    r"[a-z0-9]{1,64}|arn:aws(?:-[a-z-]{1,16})?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}"
    r":guardrail/[a-z0-9]{1,64}",
    re.ASCII,
)
_VERSION = re.compile(r"DRAFT|[1-9][0-9]{0,7}", re.ASCII)

# ApplyGuardrail calls no model; its attempts and prices go by this one.
RESOLVED: Final = Resolved(
    Model(GUARDRAILS, "guardrail", "chat", window=0, max_output=0, price_key=GUARDRAILS),
    GUARDRAILS,
    GUARDRAILS,
)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """`identifier` is an id or an ARN of the account."""

    identifier: str
    version: str

    @property
    def account(self) -> str | None:
        """Of its ARN; None where it is named by its id, in the account that is called."""
        return self.identifier.split(":")[4] if ":" in self.identifier else None


def guardrail_of(identifier: object, version: object) -> Guardrail:
    """A guardrail as a client names it. Raises `BadRequest`."""
    if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise BadRequest("the guardrail identifier must be a guardrail's id or ARN")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise BadRequest("the guardrail version must be DRAFT or a number")
    return Guardrail(identifier, version)


def planned_guardrail(text: str | None) -> Guardrail | None:
    """A plan's `<id>:<version>`, which the plan has checked."""
    if text is None:
        return None
    identifier, _, version = text.rpartition(":")
    return Guardrail(identifier, version)


def text_units(characters: int) -> int:
    return -(-characters // CHARS_PER_UNIT)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a guardrail can look at in a body, at the most."""

    units: int
    images: int


def looked_at(body: object) -> Looked:
    """Of every text in a body, however deep, and each may be rounded up to a unit by itself.

    Bytes of images and documents are no texts: a guardrail judges images, one by one, and no
    documents.
    """
    characters = texts = images = 0
    for kind, value in _parts(body):
        if kind == "image":
            images += 1
        else:
            characters += len(value)
            texts += kind in _TEXT_MEMBERS
    return Looked(text_units(characters) + texts, images)


def output_units(max_tokens: int) -> int:
    """The most of an answer."""
    return text_units(max_tokens * CHARS_PER_TOKEN_MAX)


_TEXT_MEMBERS = frozenset({"text", "content", "prompt", "data"})
_IMAGE_MEMBERS = frozenset({"image", "image_url"})


def _parts(body: object) -> Iterator[tuple[str, str]]:
    """(member, text) of every string and ("image", "") of every image. Walks without recursion:
    how deep a body is nested is its sender's choice."""
    stack: list[tuple[str, object]] = [("", body)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, list):
            if name == "images":
                yield from (("image", "") for _ in value)
                continue
            stack.extend((name, item) for item in value)
        elif isinstance(value, Mapping):
            kind = value.get("type")  # of a tool's schema: a list, or a property of that name
            if (isinstance(kind, str) and kind in _IMAGE_MEMBERS) or name == "image":
                yield "image", ""
            stack.extend(_members(value))


def _members(value: Mapping[Any, object]) -> Iterator[tuple[str, object]]:
    encoded = value.get("type") == "base64"
    for name, member in value.items():
        binary = name == "bytes" or (encoded and name == "data")
        if not binary and not (name == "url" and str(member).startswith("data:image/")):
            yield str(name), member


def pinned(looked: Looked) -> dict[str, int]:
    """What an intent keeps, because no log tells what a guardrail was billed."""
    return {"guardrail_units": looked.units, "guardrail_images": looked.images}


def estimated(intent: Mapping[str, object], out_tokens: int) -> Usage:
    """Units of a call whose answer was not seen, from what its intent pinned: a guess, since
    each policy that may have been there is counted. No units where it had no guardrail."""
    units, images = intent.get("guardrail_units"), intent.get("guardrail_images")
    if type(units) is not int or type(images) is not int:
        return NO_USAGE
    units += text_units(out_tokens * CHARS_PER_TOKEN_USUAL)
    counts = {token_class.value: units for token_class in GUARDRAIL_CLASSES}
    return Usage(**{**counts, TokenClass.GUARDRAIL_IMAGE.value: images})
