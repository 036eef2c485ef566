"""The ARN of an AWS KMS key or alias: it names the key's account and region."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]{0,20}):kms:(?P<region>[a-z0-9-]{1,32}):(?P<account>[0-9]{12})"
    r":(?P<resource>(?:key|alias)/[A-Za-z0-9/_-]{1,256})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class KmsArn:
    partition: str
    region: str
    account: str
    resource: str  # `key/<id>` or `alias/<name>`

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:{self.resource}"


def kms_arn(text: str) -> KmsArn:
    """Raises `ValueError` for what is no such ARN."""
    found = _ARN.fullmatch(text)
    if found is None:
        raise ValueError("is not the ARN of an AWS KMS key: arn:aws:kms:REGION:ACCOUNT:key/ID")
    return KmsArn(**found.groupdict())
