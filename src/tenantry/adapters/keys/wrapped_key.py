"""How a wrapped tenant key is written down, and what it is bound to.

Format 1 is of a key of this machine, format 2 names the AWS KMS key that opens it. What counts is
where the file lies, to which its bytes are bound; tenant and version stand in it as well, so that
one that was put in another's place is told as that. AWS KMS keys of the tenant's own that wrapped
it before stay in it, because a shred must find them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Final

from tenantry.domain.document import Home
from tenantry.domain.errors import Corrupt
from tenantry.ports.keys import SHARED_KMS_KEY, KeyName, WrappedKey

MISPLACED: Final = (
    "The key store has the wrapped key of another tenant, or of another version, in the place of"
    " this one's."
)
_LOCAL, _AWS = 1, 2


def kms_key_of(home: Home) -> str:
    """The id of the root key that wraps a tenant's key."""
    return f"own-{home.tenant_id}" if home.own_kms_key else SHARED_KMS_KEY


def after(held: WrappedKey, moved: WrappedKey) -> WrappedKey:
    """The key as it is wrapped anew, with the own KMS keys of before."""
    former = {*held.former}
    if held.arn is not None and held.name.kms_key != SHARED_KMS_KEY:
        former.add(held.arn)
    return replace(moved, former=tuple(sorted(former - {moved.arn})))


def pack(key: WrappedKey) -> bytes:
    body = {
        "format": _LOCAL if key.arn is None else _AWS,
        "tenant": key.name.tenant_id,
        "version": key.name.version,
        "kms_key": key.name.kms_key,
        **({} if key.arn is None else {"kms_arn": key.arn}),
        **({"former_kms_arns": list(key.former)} if key.former else {}),
        "wrapped": base64.b64encode(key.wrapped).decode(),
    }
    return json.dumps(body).encode()


def is_anothers(home: Home, version: int, data: bytes) -> bool:
    """Whether the file says that it is of another tenant or version than its place."""
    try:
        body = json.loads(data)
        told = (body.get("tenant", home.tenant_id), body.get("version", version))
    except (ValueError, AttributeError):
        return False
    return told != (home.tenant_id, version)


def unpack(home: Home, version: int, data: bytes) -> WrappedKey:
    """The key of exactly this tenant and version. Else Corrupt."""
    if is_anothers(home, version, data):
        raise Corrupt(MISPLACED)
    try:
        body = json.loads(data)
        kms_key, arn = body["kms_key"], body.get("kms_arn")
        former = body.get("former_kms_arns", [])
        wrapped = base64.b64decode(body["wrapped"], validate=True)
        form = body["format"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Corrupt("A wrapped tenant key is damaged.") from None
    known = (form, type(arn)) in ((_LOCAL, type(None)), (_AWS, str))
    if not known or not isinstance(kms_key, str):
        raise Corrupt("A wrapped tenant key has an unknown format.")
    if not isinstance(former, list) or not all(isinstance(each, str) for each in former):
        raise Corrupt("A wrapped tenant key is damaged.")
    return WrappedKey(KeyName(home.tenant_id, version, kms_key), arn, wrapped, tuple(former))
