"""What a client says of a failure, cut down to a line that says nothing of the request."""

import pytest

from tenantry.domain.outage import CHARS_MAX, code_of, first_words

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
        (
            f"Error performing GET {SIGNED} in 2ms - 404 Not Found: <?xml version='1.0'?>\n<Error>"
            "<Code>NoSuchBucket</Code><Message>The bucket x is not there</Message></Error>",
            "Error performing GET … in 2ms - 404 Not Found: NoSuchBucket",
        ),
        ("403 Forbidden: <Error><Code>AccessDenied</Code></Error>", "403 Forbidden: AccessDenied"),
        ("<?xml?><Error><Code>SlowDown</Code></Error>", "SlowDown"),
        ("503: <?xml?>\n<html>no code</html>", "503"),
        (f"{'x' * 1_000}: <Code>SlowDown</Code>", f"{'x' * (CHARS_MAX - 10)}: SlowDown"),
        ("x" * 1_000, "x" * CHARS_MAX),
    ],
)
def test_the_first_line_is_told_without_urls_and_with_the_code(said: str, told: str) -> None:
    assert first_words(OSError(said)) == told


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("x\n<Error><Code>NoSuchBucket</Code></Error>\n", "NoSuchBucket"),
        ("<Code>no code at all</Code>", None),
        ("NoSuchBucket", None),
        ("", None),
    ],
)
def test_the_code_of_what_s3_said(said: str, code: str | None) -> None:
    assert code_of(OSError(said)) == code
