"""Whose fault a 401 or 403 of Bedrock is."""

from __future__ import annotations

import pytest

from tenantry.domain.denial import Denial, denial_of

DENIED = "AccessDeniedException"


@pytest.mark.parametrize(
    ("status", "error_type", "message", "expected"),
    [
        (403, DENIED, "You don't have access to the model with the specified model ID.",
         Denial.ACCESS),
        (403, DENIED, "User: arn:aws:sts::1:x is not authorized to perform: bedrock:InvokeModel",
         Denial.ACCESS),
        (403, DENIED, "Authentication failed: Please make sure your API Key is valid.",
         Denial.CREDENTIALS),
        (403, DENIED, "You invoked an unsupported model or your request did not allow prompt "
         "caching. See the documentation.", Denial.CACHING),
        (403, "UnrecognizedClientException", "prompt caching", Denial.CREDENTIALS),
        (403, "ExpiredTokenException", "", Denial.CREDENTIALS),
        (403, "InvalidSignatureException", "", Denial.CREDENTIALS),
        (403, "InvalidSignatureException", "The request signature we calculated does not match.",
         Denial.CREDENTIALS),
        (403, "InvalidSignatureException", "Signature expired: 20261201T120000Z is now earlier "
         "than 20261201T125500Z (20261201T130000Z - 5 min.)", Denial.CLOCK),
        (403, "InvalidSignatureException", "Signature not yet current: 20261201T120000Z is still "
         "later than 20261201T110500Z (20261201T110000Z + 5 min.)", Denial.CLOCK),
        (403, "RequestTimeTooSkewed", "", Denial.CLOCK),
        (403, None, "", Denial.CREDENTIALS),
        (401, None, "", Denial.CREDENTIALS),
        (400, DENIED, "", None),
        (None, None, "", None),
    ],
)  # fmt: skip
def test_whose_fault_it_is(
    status: int | None, error_type: str | None, message: str, expected: Denial | None
) -> None:
    assert denial_of(status, error_type, message) is expected
