"""A tenant's documents under the name that Bedrock's wire has for them: one knowledge base each.

The name is made of the tenant's id and says nothing of it. It opens no door: whose documents are
searched is decided by the API key, and any name but the tenant's own is one that does not exist.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from tenantry.domain.errors import NotFound
from tenantry.domain.ids import TenantId

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHARS = 10  # the service model of bedrock-agent-runtime: ^[0-9a-zA-Z]{10}$
_LABEL = b"tenantry/knowledge-base/v1/"
_CACHED = 4_096
_ARN = re.compile(
    r"arn:aws(?:-[a-z-]{1,16})?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:knowledge-base/([0-9a-zA-Z]{10})",
    re.ASCII,
)


@lru_cache(maxsize=_CACHED)
def knowledge_base_of(tenant_id: TenantId) -> str:
    """Ten letters and digits, always the same for a tenant."""
    number = int.from_bytes(hashlib.sha256(_LABEL + tenant_id.encode()).digest(), "big")
    letters = []
    for _ in range(_CHARS):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def check_knowledge_base(given: str, tenant_id: TenantId) -> None:
    """`NotFound` for any name but the tenant's own: its id, or an ARN that ends in it."""
    named = _ARN.fullmatch(given)
    if (named[1] if named else given) != knowledge_base_of(tenant_id):
        raise NotFound("There is no such knowledge base.")
