"""A soak that could find nothing would show nothing: what must break it breaks it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.soak import accounts, limits
from benchmarks.soak.caller import Caller
from benchmarks.soak.cast import FREE, Cap, Member
from benchmarks.soak.census import GROWTH_MAX_MB, SPAN_MIN_S, WARM_UP_S, Life
from benchmarks.soak.course import Course
from benchmarks.soak.gate import Gate
from benchmarks.soak.journal import Journal
from benchmarks.soak.reasons import AWAY, UNREACHED
from benchmarks.soak.refusals import documented
from benchmarks.soak.shelf import Shelf, written
from benchmarks.soak.streams import of_bedrock, of_openai
from benchmarks.soak.world import World
from tests.support.json_server import Asked, Told, json_server
from tests.support.stack import Tenant

from bedrock_emulator.wire.eventstream import encode_headers, encode_message
from tenantry.domain.ids import ApiKeyId
from tenantry.entrypoints.http.errors import BY_STATUS, SHAPES
from tenantry.ports.control import NewKey

OURS = {"content-type": "application/problem+json"}


class Scene:
    """A client of one tenant, before a server that answers what it is told to."""

    def __init__(self) -> None:
        self.told = Told(200, {})
        self.world: Any = None

    def answer(self, _: Asked) -> Told:
        return self.told

    def ask(self, told: Told, **options: Any) -> list[str]:
        """What the journal has of a read that is answered so."""
        self.told = told
        self.world.journal.findings.clear()
        self.caller.ask("read", "tenantry", "GET", "/v1/limits", **options)
        return [finding.what for finding in self.world.journal.findings]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    with json_server(made.answer) as url:
        stack: Any = SimpleNamespace(url=url, https_url=url, ca_bundle=None)
        receiver: Any = None
        made.world = World(stack, Course(1, 1, 1), receiver, Journal())
        key = NewKey(ApiKeyId("key_1"), "tk_1", "AKIA", "secret")
        made.member = Member(FREE, Tenant("tnt_1", "anna", key, "pool", "111111111111"))
        made.caller = Caller(made.world, made.member, random.Random(1))
        yield made


def problem(status: int, code: str) -> Told:
    return Told(status, {"code": code, "detail": "Something."}, OURS)


def test_the_page_names_every_refusal_with_its_statuses() -> None:
    table = documented().table
    for kind, shape in SHAPES.items():
        assert table[kind.code] == (shape.aws_status, shape.aws_type, shape.status)
    for code, shape in BY_STATUS.values():
        assert table[code] == (shape.aws_status, shape.aws_type, shape.status)


def test_an_answer_is_taken_as_it_is_and_another_tenants_word_is_told(scene: Scene) -> None:
    own, foreign = scene.member.canary, "cnry0123456789ab"
    assert scene.ask(Told(200, {"text": own})) == []
    assert scene.ask(Told(200, {"text": foreign})) == ["foreign words"]
    assert scene.ask(problem(503, "unavailable"), may=AWAY) == []


def test_a_refusal_needs_a_documented_shape_and_a_reason(scene: Scene) -> None:
    assert scene.ask(Told(500, "oh dear")) == ["undocumented refusal"]
    assert scene.ask(problem(503, "not_found")) == ["undocumented refusal"]
    assert scene.ask(problem(500, "internal")) == ["refused without a reason"]
    assert scene.ask(problem(503, "unavailable")) == ["refused without a reason"]
    reason = scene.world.reasons.give(AWAY)
    assert scene.ask(problem(503, "unavailable")) == []
    reason.close(after_s=-1)
    assert scene.ask(problem(503, "unavailable")) == ["refused without a reason"]
    scene.world.reasons.give(AWAY, "tnt_2")
    assert scene.ask(problem(503, "unavailable")) == ["refused without a reason"]


def test_what_must_be_refused_may_not_be_served(scene: Scene) -> None:
    assert scene.ask(problem(404, "not_found"), must="not_found") == []
    assert scene.ask(Told(200, {}), must="not_found") == ["served in place of a refusal"]


def test_nobody_there_needs_a_reason_too(scene: Scene) -> None:
    scene.world.stack.url = scene.world.stack.https_url = "http://127.0.0.1:1"
    assert scene.ask(Told(200, {})) == ["connection lost"]
    scene.world.reasons.give({UNREACHED})
    assert scene.ask(Told(200, {})) == []


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    return encode_message(encode_headers(headers.items()), payload)


def test_a_stream_says_its_text_its_charge_and_how_it_ended() -> None:
    frames = [
        frame({":event-type": "contentBlockDelta"}, b'{"delta": {"text": "cn"}}'),
        frame({":event-type": "contentBlockDelta"}, b'{"delta": {"text": "ry"}}'),
        frame({":event-type": "metadata", "x-tenantry-charge": "0.1 USD"}, b"{}"),
    ]
    whole = of_bedrock(b"".join(frames))
    assert (whole.text, whole.is_whole, whole.charge) == ("cnry", True, "0.1 USD")
    assert not of_bedrock(b"".join(frames[:2])).is_whole
    failed = of_bedrock(frame({":exception-type": "throttlingException"}, b"{}"))
    assert failed.codes == {"upstream_throttled"}
    lines = [
        b'data: {"choices": [{"delta": {"content": "a"}}]}',
        b'data: {"choices": [], "tenantry": {"charge": "0.2 USD"}}',
        b"data: [DONE]",
    ]
    told = of_openai(b"\n\n".join(lines))
    assert (told.text, told.is_whole, told.charge) == ("a", True, "0.2 USD")
    assert not of_openai(lines[0]).is_whole
    assert of_openai(b'data: {"error": {"code": "unavailable"}}').codes == {"unavailable"}


def test_a_shelf_keeps_what_is_certain_alone() -> None:
    first, second = written("cnry", 1, 2), written("cnry", 1, 2)
    assert first.word != second.word
    shelf = Shelf()
    shelf.put("doc_1", first)
    shelf.put("doc_1", second)
    assert (set(shelf.there), set(shelf.gone)) == ({"doc_1"}, {first.word})
    shelf.doubt("doc_1")
    assert (set(shelf.there), shelf.unsure, set(shelf.gone)) == (set(), {"doc_1"}, {first.word})
    shelf.removed("doc_1")
    assert shelf.unsure == set()


def test_a_gate_closes_once_nobody_is_within() -> None:
    gate, leave, within = Gate(), threading.Event(), threading.Event()

    def pass_() -> None:
        with gate.passed():
            within.set()
            leave.wait()

    thread = threading.Thread(target=pass_)
    thread.start()
    within.wait()
    assert not gate.close(0.01)
    leave.set()
    assert gate.close(60)
    gate.open()
    thread.join()


def test_a_frame_that_cannot_be_read_is_rubbish_of_the_models() -> None:
    torn = frame({":event-type": "contentBlockDelta"}, b'{"delta": {"te')
    assert of_bedrock(torn).codes == {"upstream_rubbish"}
    assert of_bedrock(torn[:-1] + b"x").codes == {"upstream_rubbish"}


def test_another_charge_than_was_told_is_found(scene: Scene) -> None:
    scene.world.stack.rows = lambda *_: [{"request": "r1", "charge": Decimal("0.1")}]
    for charge, broke in (("0.10 USD", 0), ("0.1000001 USD", 1)):
        scene.member.was_charged("r1", charge)
        accounts._told(scene.world, scene.member)
        assert len(scene.world.journal.findings) == broke
    scene.member.was_charged("r2", "0.2 USD")
    accounts._told(scene.world, scene.member)
    assert "booked None" in scene.world.journal.findings[-1].detail


@pytest.mark.parametrize(
    ("total", "since", "broke"),
    [("0.9", "0.9", False), ("1.1", "0", False), ("1.1", "0.1", True)],
)
def test_a_passed_budget_is_told(scene: Scene, total: str, since: str, broke: bool) -> None:
    """One that was lowered below what was spent is kept where nothing came since."""
    spent = {"total": Decimal(total), "since": Decimal(since)}
    scene.world.stack.rows = lambda *_: [spent]
    scene.member.caps["day"] = Cap(Decimal(1), datetime(2026, 12, 1, tzinfo=UTC))
    scene.world.members.append(scene.member)
    limits.check(scene.world)
    assert bool(scene.world.journal.findings) is broke


def rows(*spans: tuple[int, int]) -> list[dict[str, Any]]:
    """Requests, each from one second to another, of ten tokens."""
    start = datetime(2026, 12, 1, tzinfo=UTC)
    return [
        {
            "admitted_at": start + timedelta(seconds=begin),
            "ended_at": start + timedelta(seconds=end),
            "day": start.date(),
            "tokens": 10,
            "trued_up": False,
        }
        for begin, end in spans
    ]


@pytest.mark.parametrize(
    ("plan", "spans", "broke"),
    [
        ({"concurrent_requests": 1}, [(0, 5), (5, 9)], False),
        ({"concurrent_requests": 1}, [(0, 5), (4, 9)], True),
        ({"requests_per_minute": 2}, [(0, 1), (30, 31), (60, 61)], False),
        ({"requests_per_minute": 2}, [(0, 1), (30, 31), (59, 61)], True),
        ({"tokens_per_minute": 20}, [(0, 1), (30, 31), (60, 61)], False),
        ({"tokens_per_minute": 19}, [(0, 1), (30, 31), (60, 61)], True),
        ({"requests_per_day": 2}, [(0, 1), (99, 100)], False),
        ({"requests_per_day": 1}, [(0, 1), (99, 100)], True),
    ],
)
def test_a_passed_limit_is_told(
    scene: Scene, plan: dict[str, Any], spans: list[tuple[int, int]], broke: bool
) -> None:
    scene.world.stack.rows = lambda *_: rows(*spans)
    scene.member.plan |= plan
    scene.world.members.append(scene.member)
    limits.check(scene.world)
    assert bool(scene.world.journal.findings) is broke


@pytest.mark.parametrize(("mb_in_all", "leaks"), [(0, False), (GROWTH_MAX_MB * 1.5, True)])
def test_memory_that_grows_for_as_long_as_it_is_seen_is_a_leak(
    mb_in_all: float, leaks: bool
) -> None:
    life = Life("gateway", 1, 0.0)
    span = SPAN_MIN_S + 60
    for second in range(0, int(WARM_UP_S + span), 5):
        warm = max(0.0, second - WARM_UP_S)
        life.samples.append((float(second), 100 + second % 3 + mb_in_all * warm / span))
    assert life.leaks() is leaks
