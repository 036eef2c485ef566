"""Names and addresses as a certificate bears them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

import idna

_NAME_MAX: Final = 253  # characters, RFC 1035
# What IDNA would refuse of them, as hyphens in the third and fourth place, clients take.
_ANY_CASE: Final = re.IGNORECASE | re.ASCII  # else [a-z] takes ı, İ, ſ and the sign of kelvin too
_ASCII: Final = re.compile(r"(?!-|xn--)[a-z0-9-]{1,63}(?<!-)", _ANY_CASE)
# No host name of RFC 1123, but that of many a service of containers, and clients take it.
_WITH_UNDERSCORE: Final = re.compile(r"(?!-)(?=.*_)[a-z0-9_-]{1,63}(?<!-)", _ANY_CASE)
# As URLs have an address of version 6, with a star that only names have, or a port.
_IN_BRACKETS: Final = re.compile(r"(\*\.)?\[(?P<address>[^\[\]]+)\]?(:\d*)?")


def plain_name(name: str) -> str:
    """An address in its shortest form, without its zone; a host name in ASCII and small letters,
    perhaps with `*.` before it. Raises ValueError for what no certificate can bear."""
    if (found := _IN_BRACKETS.fullmatch(name)) is not None:
        raise ValueError(f"write {found['address']} alone, without brackets")
    try:
        address = ip_address(name)
    except ValueError:
        # OpenSSL matches no star in a name with an underscore.
        star, to_ascii = ("*.", _strict) if name.startswith("*.") else ("", _lenient)
        labels = name.removeprefix(star).removesuffix(".").split(".")
        plain = star + ".".join(map(to_ascii, labels))
        if plain.rpartition(".")[2].isdecimal():
            raise ValueError("it ends in a number and is no address") from None
        if len(plain) > _NAME_MAX:
            raise ValueError(f"it has more than {_NAME_MAX:d} characters") from None
        return plain
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        address = IPv6Address(int(address))
    return str(address)


def _lenient(label: str) -> str:
    return label.lower() if _WITH_UNDERSCORE.fullmatch(label) else _strict(label)


def _strict(label: str) -> str:
    if _ASCII.fullmatch(label):
        return label.lower()
    return idna.encode(label, uts46=True).decode("ascii")
