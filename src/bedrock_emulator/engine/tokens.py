"""Counts and cuts text by a real byte-pair encoding, loaded on first use.

One encoding stands for each model family (see the catalogue). Anthropic and Amazon publish none;
theirs are counted with cl100k, which is near but not theirs. What matters here is that CountTokens,
the response, the headers, the log and the bill all count with the same one.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any, cast

from bedrock_emulator.engine import errors
from bedrock_emulator.engine.types import EmulatedError

_loading = Lock()


@cache
def _load(encoding: str) -> Any:
    import quicktok

    return quicktok.get_encoding(encoding)


class Tokeniser:
    """One encoding; safe to use from many threads."""

    def __init__(self, encoding: str) -> None:
        self._name = encoding
        self._encoding: Any = None

    def _get(self) -> Any:
        if self._encoding is None:
            with _loading:
                self._encoding = _load(self._name)
        return self._encoding

    def count(self, text: str) -> int:
        try:
            return cast(int, self._get().count(text))
        except (UnicodeEncodeError, TypeError):  # the binding tells lone surrogates so
            raise _not_text() from None

    def encode(self, text: str) -> list[int]:
        try:
            return cast("list[int]", self._get().encode_ordinary(text))
        except (UnicodeEncodeError, TypeError):  # the binding tells lone surrogates so
            raise _not_text() from None

    def decode(self, ids: list[int]) -> str:
        """Text of some tokens, without a character that they begin but do not end."""
        return self.decode_bytes(ids).decode("utf-8", "ignore")

    def decode_bytes(self, ids: list[int]) -> bytes:
        return cast(bytes, self._get().decode_bytes(ids))

    def token_bytes(self, token: int) -> bytes:
        return cast(bytes, self._get().decode_single_token_bytes(token))


@cache
def tokeniser(encoding: str) -> Tokeniser:
    return Tokeniser(encoding)


def _not_text() -> EmulatedError:
    return errors.validation("Malformed input request: the text is not valid Unicode.")
