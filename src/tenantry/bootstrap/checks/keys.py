"""What is wrong with the settings of keys."""

from __future__ import annotations

import importlib.util

from tenantry.bootstrap.checks.outside import check_url
from tenantry.config import Settings, variable_of
from tenantry.domain.extras import extra_of
from tenantry.domain.kms_arn import KmsArn, kms_arn
from tenantry.domain.placement import s3_location

LOCAL = "local"


def key_problems(config: Settings) -> list[str]:
    """One line for each setting that keys could not work with."""
    problems: list[str] = []
    if config.kms != LOCAL:
        try:
            kms_arn(config.kms)
        except ValueError as wrong:
            problems.append(f"{variable_of('kms')} {wrong}, or {LOCAL}")
        if importlib.util.find_spec("boto3") is None:
            problems.append(f"{variable_of('kms')} needs {extra_of('aws')}")
    if config.kms_endpoint_url is not None:
        try:
            check_url(config.kms_endpoint_url)
        except ValueError as wrong:
            problems.append(f"{variable_of('kms_endpoint_url')} {wrong}")
    if config.key_store_url is not None:
        try:
            s3_location(config.key_store_url)
        except ValueError as wrong:
            problems.append(f"{variable_of('key_store_url')}: {wrong}")
    return problems


def shared_arn(config: Settings) -> KmsArn | None:
    """The AWS KMS key of the settings; None: the local keyring."""
    return None if config.kms == LOCAL else kms_arn(config.kms)
