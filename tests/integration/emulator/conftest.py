"""Emulators that several tests of one module share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.emulator import Emulator, start_emulator


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator in fixed mode; tests tell their calls apart by request id or metadata."""
    folder: Path = tmp_path_factory.mktemp("emulator")
    with start_emulator(folder) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: Emulator) -> Iterator[Emulator]:
    """The shared emulator with no rules before and after."""
    shared.clear_rules()
    yield shared
    shared.clear_rules()
