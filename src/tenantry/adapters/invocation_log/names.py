"""Which files are a log's, by their names, and how many are taken at once.

Bedrock delivers `AWSLogs/<account>/BedrockModelInvocationLogs/<region>/YYYY/MM/DD/HH/….json.gz`.
Bodies that were too long for a line lie beside the files (`…/data/…`) and are none: the counts are
in the record.
"""

from __future__ import annotations

FILES_MAX = 10_000  # a scan; what is left is found by the next one
LOGS = "AWSLogs"
OF_BEDROCK = "BedrockModelInvocationLogs"
_BODIES = "data"
_ENDING = ".json.gz"


def may_be_log(name: str) -> bool:
    """Of a file below a folder that a person named for its logs, however they lie in it: neither a
    body, nor a log of another service that shares the bucket."""
    *folders, file = name.split("/")
    if not file.endswith(_ENDING) or folders[-1:] == [_BODIES]:
        return False
    if LOGS not in folders:
        return True
    behind = folders[folders.index(LOGS) + 2 :]  # an account is between the two
    return behind[:1] == [OF_BEDROCK] and _BODIES not in behind
