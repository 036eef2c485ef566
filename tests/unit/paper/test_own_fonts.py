"""Names in scripts that the fonts inside lack, drawn by a folder of fonts: joined, in order, in the
shapes of their language, and never at the cost of a figure."""

import ctypes
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from _pytest.mark import ParameterSet
from tests.support.invoices import an_invoice

from tenantry.adapters.paper.font_folder import FontFolderError, font_files
from tenantry.adapters.paper.tongues import ranked, tongue_of
from tenantry.adapters.paper.typesetter import Typesetter
from tenantry.bootstrap.failures import told
from tenantry.domain.errors import Unavailable

FONTS = Path(__file__).parents[2] / "support" / "fonts"
# Two customers of each place: a name, an address, the zone.
PLACES = {
    "Japanese": [
        ("株式会社サンプル", "東京都港区芝公園2", "Asia/Tokyo"),
        ("東京テスト", "日本", "Asia/Tokyo"),
    ],
    "Arabic": [
        ("شركة الرياض للتقنية", "طريق الملك فهد 1234", "Asia/Riyadh"),
        ("الشركة السعودية", "حي العليا", "Asia/Riyadh"),
    ],
    "Hindi": [
        ("हिन्दी क्षेत्र प्राइवेट लिमिटेड", "12 कनॉट प्लेस", "Asia/Kolkata"),
        ("श्री लिमिटेड", "दिल्ली", "Asia/Kolkata"),
    ],
    "Thai": [
        ("บริษัทจำกัด", "99 ถนนสุขุมวิท", "Asia/Bangkok"),
        ("น้ำที่", "กรุงเทพมหานคร", "Asia/Bangkok"),
    ],
    "Korean": [
        ("주식회사", "서울특별시 강남구 12", "Asia/Seoul"),
        ("주식회사 서울", "강남구", "Asia/Seoul"),
    ],
    "Chinese": [
        ("北京公司", "中国北京市海区1号", "Asia/Shanghai"),
        ("有限公司", "上市区", "Asia/Shanghai"),
    ],
}
FIGURES = ("2026-12-01", "123,456,789", "1,111.11", "2,302.18", "194.40",
           "2,594.40", "−200.00", "2,394.40 USD", "INV-2026-000042")  # fmt: skip


@pytest.fixture(scope="module")
def press() -> Typesetter:
    return Typesetter(FONTS)


@pytest.fixture(scope="module")
def bare() -> Typesetter:
    return Typesetter()


def some(*names: str) -> list[ParameterSet]:
    """All places, of which the others wait for the longer run."""
    return [pytest.param(p, marks=[] if p in names else [pytest.mark.slow]) for p in PLACES]


def of(name: str, address: str, zone: str = "Europe/Zurich") -> dict[str, Any]:
    invoice = an_invoice()
    invoice["zone"] = zone
    invoice["customer"] |= {"name": name, "address": [address]}
    return invoice


def text_of(pdf: bytes) -> str:
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def letters(text: str) -> str:
    """Without the spaces and line ends that a page has and a name has not."""
    return "".join(text.replace("\u200b", "").split())


def placed(pdf: bytes) -> Iterator[tuple[str, float, float]]:
    """Each character of the first page with its left edge and its distance from the ground."""
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        text = document[0].get_textpage()
        for index in range(text.count_chars()):
            left, bottom, _, _ = text.get_charbox(index)
            yield text.get_text_range(index, 1), left, bottom


@pytest.mark.parametrize("place", PLACES)
def test_names_and_addresses_are_drawn_and_can_be_copied(press: Typesetter, place: str) -> None:
    texts = [text_of(press.render(of(*each))) for each in PLACES[place]]
    for (name, address, _), text in zip(PLACES[place], texts, strict=True):
        assert "[U+" not in text
        for words in (*name.split(), *address.split()):
            assert words in letters(text)
    assert texts[0] != texts[1]


def test_a_script_without_spaces_is_broken_between_its_words(press: Typesetter) -> None:
    """And nothing is put in where it could have been broken."""
    text = text_of(press.render(of("บริษัทจำกัด", "กรุงเทพมหานครถนนสุขุมวิท" * 3)))
    assert "กรุงเทพมหานคร" in text and "\u200b" not in text


@pytest.mark.parametrize("place", some("Japanese", "Arabic"))
def test_without_the_folder_they_are_spelt_out(bare: Typesetter, place: str) -> None:
    name, address, zone = PLACES[place][0]
    text = text_of(bare.render(of(name, address, zone)))
    assert f"[U+{ord(name[0]):04X}]" in letters(text)


@pytest.mark.parametrize("place", some("Japanese", "Arabic", "Thai"))
def test_a_name_moves_no_figure(press: Typesetter, place: str) -> None:
    """Every figure stands where it stands beside a Latin name."""

    def figures(pdf: bytes) -> list[tuple[str, float, float]]:
        """Below the names."""
        return [(c, x, y) for c, x, y in placed(pdf) if (c.isdigit() or c in ".,−") and y < 500]

    name, _, zone = PLACES[place][0]
    plain = press.render(of("Plain Name", "Street", zone))
    shown = press.render(of(name, "Street", zone))
    for words in FIGURES:
        assert words in text_of(plain) and words in text_of(shown)
    assert figures(shown) == figures(plain) != []


def test_a_folder_changes_nothing_of_what_the_fonts_inside_draw(
    press: Typesetter, bare: Typesetter
) -> None:
    assert press.render(an_invoice()) == bare.render(an_invoice())


def families(pdf: bytes, letter: str) -> set[str]:
    """The fonts that a letter is drawn with on the first page."""
    raw, found = pypdfium2.raw, set()
    with closing(pypdfium2.PdfDocument(pdf)) as document:
        text = document[0].get_textpage()
        for index in range(text.count_chars()):
            if text.get_text_range(index, 1) == letter:
                name = ctypes.create_string_buffer(200)
                raw.FPDFText_GetFontInfo(text, index, name, len(name), ctypes.c_int())
                found.add(name.value.decode().rpartition("+")[2])
    return found


@pytest.mark.parametrize(
    ("zone", "family"),
    [("Asia/Tokyo", "NotoSansJP"), ("Asia/Seoul", "NotoSansKR"), ("Asia/Shanghai", "NotoSansSC")],
)
def test_a_character_of_three_countries_has_the_shape_of_the_customers(
    press: Typesetter, zone: str, family: str
) -> None:
    [used] = families(press.render(of("骨", "骨", zone)), "骨")
    assert used.startswith(family)


def test_an_address_is_in_the_language_of_its_name(press: Typesetter) -> None:
    """Its kana tell more than the place, and the issuer may be elsewhere."""
    invoice = of("サンプル", "骨", "Asia/Shanghai")
    [used] = families(press.render(invoice), "骨")
    assert used.startswith("NotoSansJP")
    invoice["issuer"]["name"] = "骨海"
    assert len(families(press.render(invoice), "骨")) == 2


@pytest.mark.parametrize(
    ("text", "zone", "tongue"),
    [
        ("株式会社カ", "UTC", "ja"), ("東京", "Asia/Tokyo", "ja"), ("東京", "UTC", "zh-CN"),
        ("대한 骨", "UTC", "ko"), ("臺北", "Asia/Taipei", "zh-TW"), ("ㄅ", "UTC", "zh-TW"),
        ("香港", "Asia/Hong_Kong", "zh-HK"), ("Zürich", "Asia/Tokyo", None), ("・", "UTC", None),
    ],
)  # fmt: skip
def test_a_language_is_told_by_letters_and_then_by_place(
    text: str, zone: str, tongue: str | None
) -> None:
    assert tongue_of(text, zone) == tongue


def test_fonts_of_a_language_come_first_and_those_of_others_last() -> None:
    names = ["Noto Sans CJK HK", "Noto Sans CJK JP", "Noto Sans CJK SC", "Amiri", "Mono JP"]
    assert ranked(names, "ja")[:2] == ["Noto Sans CJK JP", "Amiri"]
    assert ranked(names, "zh-CN")[0] == "Noto Sans CJK SC"
    assert ranked(names, None)[0] == "Amiri"
    assert ranked(names, "ja")[-1] == "Mono JP"


def test_the_order_on_the_disk_is_all_one(tmp_path: Path) -> None:
    """Also of two files with a font of one name."""
    files = sorted(FONTS.glob("*.[ot]tf"))
    made = []
    for folder, order in (("one", files), ("two", files[::-1])):
        (tmp_path / folder).mkdir()
        for file in order:
            shutil.copy(file, tmp_path / folder / file.name)
        shutil.copy(FONTS / "NotoSansJP.otf", tmp_path / folder / "AgainJP.otf")
        made.append(Typesetter(tmp_path / folder).render(of(*PLACES["Japanese"][0])))
    assert made[0] == made[1] == Typesetter(FONTS).render(of(*PLACES["Japanese"][0]))


def a_collection(files: Sequence[Path]) -> bytes:
    """A TTC of whole fonts one after another, each with its places moved."""
    head = 12 + 4 * len(files)
    body, starts = b"", []
    for file in files:
        font = bytearray(file.read_bytes())
        start = head + len(body)
        for entry in range(12, 12 + 16 * struct.unpack(">H", font[4:6])[0], 16):
            at = struct.unpack(">I", font[entry + 8 : entry + 12])[0]
            font[entry + 8 : entry + 12] = struct.pack(">I", at + start)
        starts.append(start)
        body += font + bytes(-len(font) % 4)
    return struct.pack(f">4sII{len(files)}I", b"ttcf", 0x10000, len(files), *starts) + body


def test_a_collection_has_the_fonts_of_several_languages(tmp_path: Path) -> None:
    files = [FONTS / "NotoSansKR.otf", FONTS / "NotoSansJP.otf"]
    (tmp_path / "Noto.ttc").write_bytes(a_collection(files))
    press = Typesetter(tmp_path)
    assert families(press.render(of("骨", "骨", "Asia/Tokyo")), "骨") == {"NotoSansJP-Regular"}
    assert "주식회사" in text_of(press.render(of("주식회사", "서울", "Asia/Seoul")))
    (tmp_path / "Noto.ttc").write_bytes(a_collection(files)[:-9_000])
    with pytest.raises(FontFolderError, match=r"Noto\.ttc: cut short"):
        font_files(tmp_path)


def broken(how: str) -> bytes:
    font = bytearray((FONTS / "NotoSansJP.otf").read_bytes())
    tables = {bytes(font[at : at + 4]): struct.unpack(">II", font[at + 8 : at + 16])
              for at in range(12, 12 + 16 * struct.unpack(">H", font[4:6])[0], 16)}  # fmt: skip
    match how:
        case "empty":
            return b""
        case "cut short":
            return bytes(font[:-2_000])
        case "text":
            return b"this is no font, and goes on for more than a head" * 9
        case "renamed":
            return bytes(font).replace(b"cmap", b"cmaq", 1)
        case "no head":
            at, length = tables[b"head"]
            font[at : at + length] = bytes(length)
        case "no outlines":
            at, length = tables[b"CFF "]
            font[at + 4 : at + 200] = bytes(196)
            start, _ = tables[b"head"]
            font[start + 8 : start + 12] = b"none"  # its checksum, by which the compiler knows it
    return bytes(font)


@pytest.mark.parametrize("how", ["empty", "cut short", "text", "renamed", "no head", "no outlines"])
def test_a_broken_font_is_told_and_nothing_is_printed(tmp_path: Path, how: str) -> None:
    (tmp_path / "NotoSansJP.otf").write_bytes(broken(how))
    press = Typesetter(tmp_path)
    for name, address, zone in PLACES["Japanese"]:
        with pytest.raises(Unavailable, match="folder of fonts") as refused:
            press.render(of(name, address, zone))
        assert str(tmp_path) not in refused.value.message  # a tenant reads it
        assert isinstance(refused.value.__cause__, FontFolderError)
        assert str(tmp_path) in (told(refused.value) or "")  # an operator does


def test_links_are_followed_once_and_lead_to_files(tmp_path: Path) -> None:
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "own" / "back").symlink_to(tmp_path / "own")
    (tmp_path / "own" / "all").symlink_to(FONTS)
    (tmp_path / "own" / "deep" / "notes.txt").write_text("no font, and not looked at")
    assert [file.name for file in font_files(tmp_path / "own")] == [
        file.name for file in sorted(FONTS.glob("*.[ot]tf"))
    ]
    name, address, zone = PLACES["Thai"][0]
    assert name in text_of(Typesetter(tmp_path / "own").render(of(name, address, zone)))
    pipe = tmp_path / "own" / "deep" / "pipe.ttf"
    os.mkfifo(pipe)
    with pytest.raises(FontFolderError, match=r"pipe\.ttf: no file"):
        font_files(tmp_path / "own")
    pipe.unlink()
    pipe.symlink_to(tmp_path / "absent.ttf")
    with pytest.raises(FontFolderError, match=r"pipe\.ttf: no file"):
        font_files(tmp_path / "own")


def test_a_mark_whose_letter_is_in_another_font_is_spelt_out(press: Typesetter) -> None:
    """Each of the two can be drawn, and both together cannot."""
    for word, shown in (("日\u20d0", "日[U+20D0]"), ("क\u20d7र", "क[U+20D7]र")):
        text = text_of(press.render(of(f"Shop {word} AG", "लिमिटेड")))
        assert shown in text and "लिमिटेड" in text
        assert press.unwritten([word, "Zürich", "लिमिटेड"]) == [word]


def test_a_rate_stays_beside_a_label_that_runs_the_other_way(press: Typesetter) -> None:
    invoice = of("Plain", "Street")
    for label, last in (("VAT מעמ", "ע"), ("VAT ضريبة", "ض")):
        invoice["tax"]["label"] = label
        pdf = press.render(invoice)
        [line] = {y for c, _, y in placed(pdf) if c == last}
        at = {c: x for c, x, y in placed(pdf) if abs(y - line) < 9}
        assert at["V"] < at[last] < at["8"] < at["%"] < at["4"]  # 8.1 % 194.40


def test_a_plan_that_runs_the_other_way_leaves_its_days_in_place(press: Typesetter) -> None:
    invoice = of("Plain", "Street")
    invoice["lines"][0]["description"] = "Plan תוכנית, 7 of 10 ⅷ"
    pdf = press.render(invoice)
    [line] = {y for c, _, y in placed(pdf) if c == "ו"}
    at = {c: x for c, x, y in placed(pdf) if abs(y - line) < 9}
    assert at["ת"] < at["7"] < at["ⅷ"]
