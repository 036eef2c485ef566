"""Which of the large bodies gives way where there is not room for all."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tenantry.entrypoints.http.wire.holding import Held, Holdings, address_of

MOST = 1_600


class Worker:
    """Holdings over a clock that is put forward by hand; `left` are those that gave way."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.holdings = Holdings(MOST, lambda: self.now)
        self.left: list[str] = []

    def send(
        self, name: str, count: int, *, owner: str | None, address: str = "10.0.0.1"
    ) -> Held | None:
        """The body, where there was room for it."""

        def give_way() -> None:
            self.left.append(name)
            self.holdings.end(held)

        held = self.holdings.begin(address, give_way)
        held.owner = owner
        if self.holdings.add(held, count):
            return held
        self.holdings.end(held)
        return None


def test_the_slowest_gives_way_rather_than_the_newest() -> None:
    worker = Worker()
    for number in range(5):
        each = worker.send(f"slow {number}", 80, owner=f"{number}", address=f"{number}")
        assert each is not None
    worker.send("fast", 390, owner="fast", address="f")
    worker.send("other", 390, owner="other", address="o")
    worker.now += 10
    assert worker.send("new", 390, owner="new", address="n") is not None and not worker.left
    assert worker.send("newer", 390, owner="newer", address="r") is not None
    assert worker.left == [f"slow {number}" for number in range(5)]
    assert worker.holdings.bytes == 4 * 390


def test_who_sends_nothing_any_more_is_slower_than_who_sends_little() -> None:
    worker = Worker()
    worker.send("stopped", 399, owner="a", address="1")
    slow = worker.send("slow", 1, owner="b", address="2")
    assert slow is not None
    for _ in range(20):
        worker.now += 1
        assert worker.holdings.add(slow, 1)
    for number in range(3):
        worker.send(f"new {number}", 395, owner=f"{number}", address=f"n{number}")
    assert worker.left == ["stopped"]


def test_nobody_is_slow_who_has_just_begun() -> None:
    worker = Worker()
    for number in range(4):
        worker.send(f"{number}", 399, owner=f"{number}", address=f"{number}")
    assert worker.send("new", 399, owner="new", address="n") is None
    assert worker.left == []


def test_one_tenant_has_a_part_where_others_want_theirs() -> None:
    """Whatever it sends, and from however many addresses: its own make room."""
    worker = Worker()
    for number in range(8):
        assert worker.send(f"acme {number}", 100, owner="acme", address=f"{number}") is not None
        worker.now += 0.1
    for number in range(4):
        assert worker.send(f"other {number}", 100, owner=f"{number}", address="o") is not None
    assert worker.left == []
    for number in range(6):
        assert worker.send(f"bolt {number}", 100, owner="bolt", address=f"b{number}") is not None
    assert worker.left == ["acme 7", "acme 6"]
    assert worker.send("acme 16", 100, owner="acme", address="16") is None


def test_one_tenant_alone_has_half_of_it_and_its_own_pay_for_more() -> None:
    worker = Worker()
    for number in range(8):
        assert worker.send(f"acme {number}", 100, owner="acme", address=f"{number}") is not None
        worker.now += 0.1
    assert worker.send("acme 8", 100, owner="acme", address="8") is None  # all are young
    assert worker.send("bolt", 700, owner="bolt", address="b") is not None
    worker.now += 60
    again = worker.send("acme 9", 100, owner="acme", address="9")
    assert again is not None and worker.left == ["acme 0"]  # which stopped long ago
    assert worker.holdings.bytes == 1_500


@pytest.mark.parametrize("owner", ["acme", None])
def test_what_is_whole_leaves_half_to_the_others(owner: str | None) -> None:
    """The bodies of one that are being answered: no other is refused for them."""
    worker = Worker()
    kept = 0
    for number in range(20):
        held = worker.send(f"{number}", 100, owner=owner, address="10.0.0.1")
        if held is not None:
            worker.holdings.whole(held)
            kept += 1
        worker.now += 1
    assert kept == 8
    for number in range(8):
        assert worker.send("new", 100, owner=f"{number}", address=f"n{number}") is not None
    assert worker.left == []


def test_one_body_may_be_more_than_half() -> None:
    worker = Worker()
    large = worker.send("large", 900, owner="acme")
    assert large is not None and worker.holdings.add(large, 100)
    worker.now += 1
    assert worker.send("more", 100, owner="acme") is None
    assert worker.send("bolt", 600, owner="bolt", address="b") is not None
    worker.holdings.end(large)
    assert worker.send("again", 900, owner="acme") is not None


def test_whose_it_is_is_counted_once_it_is_known() -> None:
    worker = Worker()
    for number in range(7):
        assert worker.send(f"acme {number}", 100, owner="acme", address="a") is not None
    worker.now += 1
    first = worker.send("first", 60, owner=None, address="a")
    worker.now += 1
    second = worker.send("second", 60, owner=None, address="a")
    assert first is not None and second is not None
    assert worker.holdings.name(first, "acme")
    assert not worker.holdings.name(second, "acme")
    worker.holdings.end(second)
    assert worker.send("bolt", 800, owner="bolt", address="b") is not None
    assert worker.left == []


def test_who_still_sends_gives_way_for_one_that_is_whole() -> None:
    """`acme` holds most, all of it whole: of the others the largest makes room, and no small one,
    however slow."""
    worker = Worker()
    acme = worker.send("acme", 800, owner="acme", address="a")
    assert acme is not None
    worker.holdings.whole(acme)
    bolts = [worker.send(f"bolt {n}", 40, owner="bolt", address=f"b{n}") for n in range(5)]
    carla = worker.send("carla", 10, owner="carla", address="c")
    for _ in range(10):
        worker.now += 1
        for bolt in bolts:
            assert bolt is not None and worker.holdings.add(bolt, 10)
        assert carla is not None and worker.holdings.add(carla, 2)
    assert worker.send("dora", 100, owner="dora", address="d") is not None
    assert worker.left == ["bolt 0"]


def test_one_address_has_a_part_where_others_want_theirs() -> None:
    worker = Worker()
    for number in range(16):
        assert worker.send(f"{number}", 100, owner=f"{number}", address="one") is not None
        worker.now += 0.1
    assert worker.send("other", 100, owner="other", address="two") is not None
    assert worker.left == ["15"]
    assert worker.send("same", 100, owner="same", address="one") is None


def test_who_has_not_said_who_it_is_makes_nobody_give_way() -> None:
    """It has a little room beside, so that it can be asked; then it is as all are."""
    worker = Worker()
    for number in range(16):
        worker.send(f"{number}", 100, owner="acme" if number < 8 else "bolt")
    asked = worker.send("asked", 100, owner=None)
    assert asked is not None and worker.holdings.bytes == MOST + 100
    assert worker.send("nobody", 100, owner=None) is None
    worker.now += 60
    assert worker.send("nobody", 100, owner=None) is None and worker.left == []
    assert worker.holdings.name(asked, "carla")
    assert worker.left == ["0"] and worker.holdings.bytes == MOST


def test_what_is_whole_gives_way_no_more() -> None:
    worker = Worker()
    for number in range(4):
        held = worker.send(f"{number}", 400, owner=f"{number % 2}")
        assert held is not None
        worker.holdings.whole(held)
    worker.now += 60
    assert worker.send("new", 100, owner="carla") is None
    assert worker.left == []


def test_a_body_ends_once() -> None:
    worker = Worker()
    held = worker.send("one", 400, owner="acme")
    assert held is not None
    worker.holdings.end(held)
    worker.holdings.end(held)
    worker.holdings.name(held, "bolt")  # whose it was is told too late
    assert worker.holdings.bytes == 0
    for name in ("acme", "bolt"):
        for number in range(2):
            assert worker.send(f"{name} {number}", 400, owner=name) is not None
            worker.now += 1
        assert worker.send(f"{name} 2", 1, owner=name) is None


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.1", 80), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 80, 0, 0), "2001:0db8:0001:0002"),
        (("fe80::1%eth0", 80, 0, 2), "fe80:0000:0000:0000"),
        (("::ffff:192.0.2.1", 80, 0, 0), "192.0.2.1"),
        ("", ""),
        (None, ""),
    ],
)
def test_addresses_of_one_client(peer: object, address: str) -> None:
    class Transport:
        def get_extra_info(self, name: str) -> object:
            return peer

    assert address_of(cast(asyncio.BaseTransport, cast(Any, Transport()))) == address
