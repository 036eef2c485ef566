"""Citations and passages in Converse's own shapes: a member that any SDK passes on. Pure.

`additionalModelResponseFields` is a document of any form in the service model, of an answer as of
`messageStop` (botocore 1.44.5, bedrock-runtime). All else stays byte for byte as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tenantry.application import exact_json
from tenantry.entrypoints.http.response import to_json

_FIELDS: Final = "additionalModelResponseFields"


def with_grounds(body: bytes, grounds: Mapping[str, Any]) -> bytes:
    """A JSON object with `grounds` in it; what is none is left as it came."""
    try:
        document = exact_json.read(body)
    except (orjson.JSONDecodeError, RecursionError):
        return body
    if not isinstance(document, dict):
        return body
    if _FIELDS in document:
        given = document[_FIELDS]
        beside = given if isinstance(given, dict) else {} if given is None else {"model": given}
        fields = {**beside, "tenantry": orjson.loads(to_json(grounds))}
        return exact_json.write({**document, _FIELDS: fields})
    member = to_json({_FIELDS: {"tenantry": grounds}})
    return body.rstrip()[:-1] + (b"," if document else b"") + member[1:]
