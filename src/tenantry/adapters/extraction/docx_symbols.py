"""`w:sym`: a character by its place in a font, which has no text of its own."""

from __future__ import annotations

from typing import Any

_PRIVATE = 0xF000  # where Word puts the 256 places of a font that is no alphabet's
# The places 20 to 7E and A0 to FE of the font Symbol (Unicode, "Adobe Symbol Encoding").
_SYMBOL = dict(
    zip(
        (*range(0x20, 0x7F), *range(0xA0, 0xFF)),
        " !∀#∃%&∋()∗+,−./0123456789:;<=>?"
        "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_"
        "‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵"
        "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓"
        "◊⟨®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪ ⟩∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
        strict=True,
    )
)


def character_of(symbol: Any, space: str) -> str:
    """Empty where the font is one of pictures. `space` is the attributes' own."""
    try:
        sign = chr(int(symbol.get(f"{space}char", ""), 16))
    except (ValueError, OverflowError):
        return ""
    if symbol.get(f"{space}font", "").lower() == "symbol":
        return _SYMBOL.get(ord(sign) & 0xFF, "") if ord(sign) & ~0xFF in (0, _PRIVATE) else ""
    return sign if sign.isprintable() else ""
