"""Fixtures of the whole project."""

import gc
import resource
import signal
from collections.abc import Generator, Iterator

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings
from tests.support.exactness import trap_rounding
from tests.support.postgres import Database, Databases, running_databases
from tests.support.scratch import prefer_memory
from tests.support.stack import Stack, running_stack

prefer_memory()

# Properties are not timed: what runs beside a test must not fail it. `make test-all` looks longer.
_untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _untimed, max_examples=50)
settings.register_profile("thorough", _untimed, max_examples=400)
settings.load_profile("quick")


def _allow_many_connections() -> None:
    """A test may hold a thousand connections; many systems begin with 1,024 open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _hear_interrupts() -> None:
    """A shell starts what runs in its background deaf to SIGINT, and so would be our children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--usage-seed",
        type=int,
        help="Judge the detector of unusual usage on the 200 tenants of this seed too.",
    )
    parser.addoption("--seed", type=int, help="Play this seed alone of the simulation of money.")


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The worker's own PostgreSQL, started when the first test asks for it."""
    with running_databases() as running:
        yield running


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A fresh, migrated database for one test."""
    fresh = databases.create()
    yield fresh
    databases.drop(fresh)


@pytest.fixture(scope="module")
def module_database(databases: Databases) -> Iterator[Database]:
    """A migrated database for one module, whose tests must not mind each other's rows."""
    fresh = databases.create()
    yield fresh
    databases.drop(fresh)


# What takes seconds to start and idles at a price, and the group of the tests that share it.
SHARED = {
    "running": "stack",
    "metered": "metered",
    "fragile": "fragile",
    "mortal": "crash",
    "traffic": "traffic",
    "target": "conformance",
    "aws": "aws",
}
_shared = pytest.StashKey[dict[str, pytest.FixtureDef[object]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All tests that share something run in one worker, so that it is started once."""
    shared = config.stash.setdefault(_shared, {})
    for item in items:
        found = item._request._arg2fixturedefs if isinstance(item, pytest.Function) else {}
        for name in SHARED.keys() & found.keys():
            if found[name][-1].scope == "session":  # others may have a parameter of that name
                shared[SHARED[name]] = found[name][-1]
                item.add_marker(pytest.mark.xdist_group(SHARED[name]))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """What a group shares ends with its last test: processes that idle slow all others down."""
    shared = item.config.stash[_shared]
    for group in () if nextitem is None else _groups(item) - _groups(nextitem):
        if group in shared and isinstance(item, pytest.Function):
            shared[group].finish(item._request)


def _groups(item: pytest.Item) -> set[str]:
    return {str(mark.args[0]) for mark in item.iter_markers("xdist_group")}


class _NamesGroups:
    """Writes each test's xdist group into its id, where the scheduler looks for it.

    pytest-xdist 3.8 writes it into `_nodeid`, which pytest 9.2 does not read any more.
    """

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        for item in items:
            groups = sorted(_groups(item))
            suffix = "@" + "_".join(groups)
            if groups and not item.nodeid.endswith(suffix):
                item._id = NodeId.parse(item.nodeid + suffix)  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected lives until the end: the garbage collector need not look for any of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    _allow_many_connections()
    _hear_interrupts()
    trap_rounding()
    if config.getoption("loadgroup", default=False):  # in a worker of `--dist loadgroup`
        config.pluginmanager.register(_NamesGroups(), "names-groups")


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    """The whole product as processes, in front of an emulator with fixed answers."""
    with running_stack() as started:
        yield started


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    """The shared product with no faults: each test makes its own tenants and kills nothing."""
    running.emulator.clear_rules()
    yield running
    running.emulator.clear_rules()
