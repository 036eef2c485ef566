"""Labels of charsets, by Python's codec for what browsers take each for.

All of WHATWG Encoding, "names and labels", but those of encodings with states or escapes,
in which the same bytes mean several things: the ISO 2022 family, HZ and `x-user-defined`.

Several labels name a smaller charset than what is meant: who says Latin-1 has the quotes, dashes
and euros of windows-1252, who says GB2312 has GB18030. Only ASCII is taken at its word.
"""

from __future__ import annotations

_LABELS = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "utf-16-le": "utf-16 utf-16le ucs-2 iso-10646-ucs-2 unicode csunicode unicodefeff",
    "utf-16-be": "utf-16be unicodefffe",
    "ascii": "us-ascii ascii ansi_x3.4-1968",
    "cp1252": (
        "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso88591 iso_8859-1 latin1 "
        "l1 cp819 csisolatin1 ibm819 iso-ir-100 iso_8859-1:1987"
    ),
    "iso8859_2": (
        "iso-8859-2 iso8859-2 iso88592 iso_8859-2 latin2 l2 csisolatin2 iso-ir-101 iso_8859-2:1987"
    ),
    "iso8859_3": (
        "iso-8859-3 iso8859-3 iso88593 iso_8859-3 latin3 l3 csisolatin3 iso-ir-109 iso_8859-3:1988"
    ),
    "iso8859_4": (
        "iso-8859-4 iso8859-4 iso88594 iso_8859-4 latin4 l4 csisolatin4 iso-ir-110 iso_8859-4:1988"
    ),
    "iso8859_5": (
        "iso-8859-5 iso8859-5 iso88595 iso_8859-5 cyrillic csisolatincyrillic "
        "iso-ir-144 iso_8859-5:1988"
    ),
    "iso8859_6": (
        "iso-8859-6 iso8859-6 iso88596 iso_8859-6 arabic asmo-708 csiso88596e "
        "csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i iso-ir-127 "
        "iso_8859-6:1987"
    ),
    "iso8859_7": (
        "iso-8859-7 iso8859-7 iso88597 iso_8859-7 greek greek8 csisolatingreek ecma-118 "
        "elot_928 iso-ir-126 iso_8859-7:1987 sun_eu_greek"
    ),
    "iso8859_8": (
        "iso-8859-8 iso8859-8 iso88598 iso_8859-8 iso-8859-8-i logical hebrew visual "
        "csiso88598e csiso88598i csisolatinhebrew iso-8859-8-e iso-ir-138 "
        "iso_8859-8:1988"
    ),
    "cp1254": (
        "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 iso88599 iso_8859-9 latin5 "
        "l5 csisolatin5 iso-ir-148 iso_8859-9:1989"
    ),
    "iso8859_10": "iso-8859-10 iso8859-10 iso885910 latin6 l6 csisolatin6 iso-ir-157",
    "cp874": "windows-874 dos-874 iso-8859-11 iso8859-11 iso885911 tis-620",
    "iso8859_13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859_14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859_15": "iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9 csisolatin9",
    "iso8859_16": "iso-8859-16",
    "cp1250": "windows-1250 cp1250 x-cp1250",
    "cp1251": "windows-1251 cp1251 x-cp1251",
    "cp1253": "windows-1253 cp1253 x-cp1253",
    "cp1255": "windows-1255 cp1255 x-cp1255",
    "cp1256": "windows-1256 cp1256 x-cp1256",
    "cp1257": "windows-1257 cp1257 x-cp1257",
    "cp1258": "windows-1258 cp1258 x-cp1258",
    "cp866": "ibm866 cp866 866 csibm866",
    "koi8_r": "koi8-r koi8_r koi8 koi cskoi8r",
    "koi8_u": "koi8-u koi8-ru",
    "mac_roman": "macintosh mac x-mac-roman csmacintosh",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji ms932 windows-31j csshiftjis",
    "euc_jp": "euc-jp x-euc-jp cseucpkdfmtjapanese",
    "cp949": (
        "euc-kr windows-949 ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean "
        "cseuckr csksc56011987 iso-ir-149"
    ),
    "gb18030": (
        "gb18030 gbk x-gbk gb2312 gb_2312 gb_2312-80 chinese csgb2312 csiso58gb231280 iso-ir-58"
    ),
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5 csbig5",
}
# Of encodings that browsers read, or refuse to: a page that says one is in no other.
NOT_TAKEN = frozenset(
    [
        "iso-2022-jp",
        "csiso2022jp",
        "x-user-defined",
        "replacement",
        "hz-gb-2312",
        "iso-2022-cn",
        "iso-2022-cn-ext",
        "iso-2022-kr",
        "csiso2022kr",
    ]
)
CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
