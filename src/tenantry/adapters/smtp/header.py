"""A mail's header of foreign words, which says them as they are."""

from __future__ import annotations

import re
from email.header import Header
from email.policy import Policy
from typing import Final

# What a reader shows as it stands: words with single blanks, none of them in the form of RFC 2047.
_PLAIN: Final = re.compile(r"(?!.*=\?)[!-~]+( [!-~]+)*")


class SubjectHeader(str):
    """`email` decodes what it is given as a subject: `=?utf-8?q?…?=` in a tenant's name would
    become other words, or line breaks and headers of its own. This one is taken as it is.

    A subject of one line, without control characters.
    """

    name = "Subject"  # by which a policy knows that the value is a header already

    def fold(self, *, policy: Policy) -> str:
        charset = "us-ascii" if _PLAIN.fullmatch(self) else "utf-8"
        header = Header(str(self), charset, header_name=self.name)
        return f"{self.name}: {header.encode(linesep=policy.linesep)}{policy.linesep}"
