"""What a client says of a failure, cut down to a line that says nothing of the request."""

import pytest

from tenantry.domain.outage import CHARS_MAX, first_words

SIGNED = "https://bucket.s3.amazonaws.com/key?X-Amz-Signature=abc"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"Generic S3 error: PUT {SIGNED} in 1s\n\nDebug source:\n{{",
            "Generic S3 error: PUT … in 1s",
        ),
        (f"from {SIGNED} to {SIGNED}", "from … to …"),
        ("", "OSError"),
        ("\nsecond", "OSError"),
        ("x" * 1_000, "x" * CHARS_MAX),
    ],
)
def test_the_first_line_is_told_without_urls(said: str, told: str) -> None:
    assert first_words(OSError(said)) == told
