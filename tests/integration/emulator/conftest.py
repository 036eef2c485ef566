"""The emulator that the tests of one worker share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.emulator import Emulator, start_emulator

ANSWER = " ".join(f"word{number}" for number in range(60))  # long enough to break off


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator in fixed mode; tests tell their calls apart by request id or metadata."""
    folder: Path = tmp_path_factory.mktemp("emulator")
    with start_emulator(folder, fixed_answer=ANSWER) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: Emulator) -> Iterator[Emulator]:
    """The shared emulator with no rules before and after."""
    shared.clear_rules()
    yield shared
    shared.clear_rules()


@pytest.fixture
def tagged(request):
    """Metadata that only this test's calls carry."""
    return {"test": request.node.name.replace("[", ":").replace("]", "")}
