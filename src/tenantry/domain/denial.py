"""What a 401 or 403 of Bedrock is about: us, a model that nobody has opened for us, or the request.

Bedrock has one name for the last two and for a bearer key that is none, so that its words decide.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

_STATUSES: Final = frozenset({401, 403})
_ACCESS_DENIED: Final = "AccessDeniedException"
_BAD_BEARER: Final = "authentication failed"  # "…: Please make sure your API Key is valid."
# "Signature expired: 2026… is now earlier than 2026… (2026… - 5 min.)"
_WRONG_TIME: Final = ("signature expired", "signature not yet current")
_WRONG_TIMES: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
# "You invoked an unsupported model or your request did not allow prompt caching."
_NO_CACHING: Final = "prompt caching"


class Denial(StrEnum):
    CREDENTIALS = "credentials"  # they are unknown, expired, or sign wrongly
    CLOCK = "clock"  # they are good, and what we signed is too old or yet to come
    ACCESS = "access"  # they are good, and may not call this model
    CACHING = "caching"  # the request marks a prefix for a cache that the model has not


def denial_of(status: int | None, error_type: str | None, message: str) -> Denial | None:
    """None where the answer is no denial."""
    if status not in _STATUSES:
        return None
    words = message.lower()
    if error_type in _WRONG_TIMES or words.startswith(_WRONG_TIME):
        return Denial.CLOCK
    if error_type != _ACCESS_DENIED or words.startswith(_BAD_BEARER):
        return Denial.CREDENTIALS
    return Denial.CACHING if _NO_CACHING in words else Denial.ACCESS
