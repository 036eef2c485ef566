"""One HTTP edge for each test module, and helpers of its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.http_edge import Edge
from tests.support.http_services import CONVERSE_ANSWER, converse_events


@pytest.fixture(scope="module")
def running_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    home: Path = tmp_path_factory.mktemp("home")
    with Edge(home) as edge:
        yield edge


@pytest.fixture
def edge(running_edge: Edge) -> Edge:
    """The module's edge, with nothing remembered of the test before."""
    running_edge.requests.clear()
    inference = running_edge.services.inference
    inference.asked.clear()
    inference.streams.clear()
    inference.refusal = None
    running_edge.call(inference.gate.set)
    inference.answer = CONVERSE_ANSWER
    inference.events = converse_events
    return running_edge
