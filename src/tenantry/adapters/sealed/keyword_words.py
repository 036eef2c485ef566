"""Words of a text, of any script: what the keyword index knows passages and queries by.

- Case, accents and compatibility forms do not matter: `Crème`, `CREME` and a full-width `creme`
  are one word. Marks are dropped in every script: a vowel sign never cuts a word in two. Letters
  that have no mark of their own stay: `ł`, `đ`, `ø`.
- What is not seen within a word does not count: the soft hyphen, a place where a line may break,
  joiners. But a non-joiner divides words in the Arabic script, where many write a space.
- A name written with joints (`asyncio.run`, `ORA-00942`, `2026-11-23`) is a word as a whole, and
  so is each part; an underscore is a letter. That finds error codes, settings and functions.
- Chinese, Japanese, Korean, Thai and their like, which are written without spaces, are indexed by
  every pair of neighbouring characters.
- No stemming and no stop words: both are of one language. A common word weighs next to nothing.

Nothing here is a query language: a query's words are words, whatever signs stand among them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

WORD_CHARS_MAX = 64  # a longer one counts by its beginning
QUERY_WORDS_MAX = 128  # different ones; a query has at most 8,192 characters

# Thai to Myanmar, Khmer, kana, Han, Hangul: scripts without spaces, or with particles grown on.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSEEN = re.compile("[\u00ad\u200b\u200d\u2060\ufeff]|(?<![\u0620-\u06ff])\u200c")
_WORD = re.compile(r"\w+")
_JOINED = re.compile(r"\b\w++(?:[.:/\-]{1,3}+\w++)+")
_RUNS = re.compile(rf"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]")


class _Marks(dict[int, int | None]):
    """For `str.translate`: drops combining marks, keeps all else; remembers what it looked up."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.category(chr(code)).startswith("M") else code
        if len(self) < 0x10000:  # a text of all there is must not grow it without end
            self[code] = kept
        return kept


_MARKS = _Marks()


def words_of(text: str) -> list[str]:
    """Each word as often as it stands there; the joined names last."""
    folded = _folded(text)
    words: list[str] = _WORD.findall(folded)
    if not folded.isascii() and _UNSPACED_RUN.search(folded):
        words = [part for word in words for part in _divided(word)]
    words += [name for name in _JOINED.findall(folded) if not _UNSPACED_RUN.search(name)]
    return [word[:WORD_CHARS_MAX] for word in words]


def query_words(text: str) -> list[str]:
    """The different words of a query, at most the first `QUERY_WORDS_MAX` of them."""
    return list(dict.fromkeys(words_of(text)))[:QUERY_WORDS_MAX]


def fingerprint(word: str) -> int:
    """64 bits that stand for a word: of a million words two share one with a chance of 10^-7."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", _UNSEEN.sub("", text)).translate(_MARKS)
    return unicodedata.normalize("NFC", plain).casefold()


def _divided(word: str) -> list[str]:
    """A word where it changes to or from a script without spaces, and that script's in pairs."""
    parts: list[str] = []
    for run in _RUNS.findall(word):
        if len(run) > 1 and _UNSPACED_RUN.match(run):
            parts += [run[at : at + 2] for at in range(len(run) - 1)]
        else:
            parts.append(run)
    return parts
