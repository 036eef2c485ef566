"""AWS's regions, and the ARNs of what Bedrock has in them."""

from __future__ import annotations

import re
from typing import Final

_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}")
# Source: botocore 1.44.5, partitions.json. By the beginning of their regions' names.
_PARTITIONS: Final = {
    "cn-": "aws-cn",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "us-gov-": "aws-us-gov",
}


def is_region(text: str) -> bool:
    """Whether it can be a region's name."""
    return _REGION.fullmatch(text) is not None


def bedrock_arn(region: str, account: str, resource: str) -> str:
    """In the region's partition; `account` is empty for what belongs to Amazon."""
    known = (name for start, name in _PARTITIONS.items() if region.startswith(start))
    return f"arn:{next(known, 'aws')}:bedrock:{region}:{account}:{resource}"
