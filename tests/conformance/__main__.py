"""`make conformance-aws`: the suite against Amazon Bedrock, with the credentials boto3 finds.

The same assertions hold against the emulator in every `make test`. The account needs access to the
models that `test_wire.py` and `test_rerank.py` name; the log is looked at where it is delivered to
S3.
"""

from __future__ import annotations

import os
import sys

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.support.conformance import TARGET_VARIABLE, AwsTarget

NOT_RUN = """\
conformance-aws was NOT run: there are no AWS credentials on this machine.
Nothing has been checked against Amazon Bedrock. `make test` holds the same assertions against the
emulator; to hold them against Bedrock, give credentials as for any AWS tool and run this again.
"""
NO_LOG = "The invocation log is NOT looked at: {reason}.\n"


def main() -> int:
    target = AwsTarget()
    if not target.has_credentials():
        sys.stdout.write(NOT_RUN)
        return 0
    sys.stdout.write(f"Amazon Bedrock in {target.region}; this costs a few cents.\n")
    arguments = ["tests/conformance", "-v", "-p", "no:cacheprovider"]
    reason = _why_no_log(target)
    if reason is not None:
        sys.stdout.write(NO_LOG.format(reason=reason))
        arguments.append("--ignore=tests/conformance/test_log.py")
    os.environ[TARGET_VARIABLE] = "aws"
    return int(pytest.main(arguments))


def _why_no_log(target: AwsTarget) -> str | None:
    try:
        found = target.log_bucket is not None
    except (BotoCoreError, ClientError) as error:
        return str(error)
    return None if found else f"it is not delivered to S3 in {target.region}"


if __name__ == "__main__":
    sys.exit(main())
