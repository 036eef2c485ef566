"""AWS's regions, and the partitions that they lie in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Partition:
    """A set of regions with accounts, names and hosts of its own."""

    id: str  # what its ARNs begin with after `arn:`
    dns_suffix: str


# Source: botocore 1.44.5, partitions.json. By the beginning of their regions' names.
_PARTITIONS: Final = {
    "cn-": Partition("aws-cn", "amazonaws.com.cn"),
    "eusc-": Partition("aws-eusc", "amazonaws.eu"),
    "us-iso-": Partition("aws-iso", "c2s.ic.gov"),
    "us-isob-": Partition("aws-iso-b", "sc2s.sgov.gov"),
    "eu-isoe-": Partition("aws-iso-e", "cloud.adc-e.uk"),
    "us-isof-": Partition("aws-iso-f", "csp.hci.ic.gov"),
    "us-gov-": Partition("aws-us-gov", "amazonaws.com"),
}
_COMMERCIAL: Final = Partition("aws", "amazonaws.com")


def is_region(text: str) -> bool:
    """Whether it can be an AWS region's name, and so a part of a host's."""
    return _REGION.fullmatch(text) is not None


def partition_of(region: str) -> Partition:
    """The partition that a region lies in, by how its name begins: also of one to come."""
    for beginning, partition in _PARTITIONS.items():
        if region.startswith(beginning):
            return partition
    return _COMMERCIAL
