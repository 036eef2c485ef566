"""The suite's target: the emulator, or Amazon Bedrock where `make conformance-aws` asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.conformance import TARGET_VARIABLE, AwsTarget, EmulatorTarget, Target
from tests.support.emulator import start_emulator


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if os.environ.get(TARGET_VARIABLE) == "aws":
        yield AwsTarget()
        return
    folder: Path = tmp_path_factory.mktemp("conformance")
    with start_emulator(folder) as emulator:
        yield EmulatorTarget(emulator)
