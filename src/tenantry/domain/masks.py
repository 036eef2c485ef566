"""What may be shown of what holds a secret."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "********"
_DATABASE: Final = re.compile(
    r"(postgres(?:ql)?://)(?:([^:@/?#]*)(?::[^@/?#]*)?@)?([^@?#]*)",
)
# To the last `@`: a password that was not encoded may hold any character of a URL. Without a
# scheme a colon tells a user and a password from a mail address.
_USERINFO: Final = re.compile(r"""(\w[\w+.-]*://)\S*@|(?<![^\s'"])[^\s:@/'"]*:\S*@""")


def masked(secret: str) -> str:
    """A secret without its secret: a database URL keeps user, host and name, nothing else stays."""
    url = _DATABASE.fullmatch(secret)
    if url is None:
        return MASK
    user = f"{url[2]}:{MASK}@" if url[2] else ""
    return f"{url[1]}{user}{url[3]}"


def without_userinfo(text: str) -> str:
    """A text without what stands before the host in each URL of it."""
    return _USERINFO.sub(lambda found: f"{found[1] or ''}{MASK}@", text)
