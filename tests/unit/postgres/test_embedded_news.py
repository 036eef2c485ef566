"""What is told of the embedded server: each change once, with the one line that says why."""

import dataclasses

import pytest

from tenantry.adapters.postgres.embedded.news import News, main_reason
from tenantry.adapters.postgres.guardian.status import LOG_TROUBLE, ClusterStatus

AT = "2026-11-30 17:11:10.123 UTC"
FULL = 'PANIC:  could not write to file "pg_wal/xlogtemp.{}": No space left on device'
WORDS_OF_A_FULL_DISK = f"""{AT} [7] LOG:  database system was shut down
{AT} [{{pid}}] {FULL}
{AT} [7] LOG:  startup process (PID {{pid}}) was terminated by signal 6: Aborted
{AT} [7] LOG:  database system is shut down"""
READY = ClusterStatus("ready", 10, 11, 5432, "/run")


class _Server:
    """Says what a test has it say, and notes what is told of it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._said: ClusterStatus | None = READY
        self.refusal: str | None = None
        self._news = News(lambda: self._said, lambda: self.refusal)
        self._news.look()

    def says(self, **changes: object) -> list[str]:
        assert self._said is not None
        return self.said(dataclasses.replace(self._said, **changes))  # type: ignore[arg-type]

    def said(self, status: ClusterStatus | None) -> list[str]:
        kept, self._said = self._said, status
        self._caplog.clear()
        self._news.look()
        self._said = status or kept
        return list(self._caplog.messages)

    def stops(self) -> None:
        self._news.stop()


@pytest.fixture
def server(caplog: pytest.LogCaptureFixture) -> _Server:
    return _Server(caplog)


def of(pid: int) -> str:
    return WORDS_OF_A_FULL_DISK.replace("{pid}", str(pid)).replace("{}", str(pid))


def test_a_full_disk_is_told_once_and_so_is_its_end(server: _Server) -> None:
    assert server.says() == []
    told = server.says(state="restarting", reason=of(20))
    assert told == [f"PostgreSQL ended and is started again: {FULL.format(20)}"]
    for restarts in range(1, 50):
        assert server.says(state="starting", restarts=restarts) == []
        assert server.says(state="restarting", reason=of(20 + restarts)) == []
    assert server.says(state="ready") == ["PostgreSQL answers again, after 49 restarts"]
    assert server.says() == []
    assert len(server.says(state="restarting", reason=of(90))) == 1, "another time it is full"


def test_an_end_between_two_looks_is_told(server: _Server) -> None:
    told = server.says(restarts=1, reason="(it was ended by signal 9)")
    assert told == [
        "PostgreSQL ended and is started again: (it was ended by signal 9)",
        "PostgreSQL answers again, after 1 restart",
    ]


def test_another_reason_is_another_line(server: _Server) -> None:
    assert len(server.says(state="restarting", reason=of(20))) == 1
    told = server.says(state="restarting", restarts=1, reason="FATAL:  no such setting")
    assert told == ["PostgreSQL ended and is started again: FATAL:  no such setting"]
    told = server.says(state="failed", reason="FATAL:  no such setting")
    assert told == ["PostgreSQL kept ending and is given up: FATAL:  no such setting"]


def test_a_guardian_that_was_replaced_is_told(server: _Server) -> None:
    assert server.said(None) == []
    told = server.says(state="starting", guardian_pid=99)
    assert told == ["PostgreSQL is started again: its guardian had ended"]
    assert server.says(state="ready") == ["PostgreSQL answers again"]


def test_a_server_that_runs_and_lets_nobody_in_does_not_answer(server: _Server) -> None:
    assert len(server.says(state="restarting", reason=of(20))) == 1
    server.refusal = "could not write init file"
    told = ["PostgreSQL runs and lets nobody in: could not write init file"]
    assert server.says(state="ready", restarts=1) == told
    assert server.says() == [], "once"
    server.refusal = None
    assert server.says() == ["PostgreSQL answers again, after 1 restart"]


def test_a_crash_is_told_and_that_it_answers_again(server: _Server) -> None:
    crash = "server process (PID 77) was terminated by signal 9: Killed"
    server.refusal = ""
    told = [f"a process of PostgreSQL crashed, all connections are cut: {crash}"]
    assert server.says(crashes=1, crash=crash) == told
    assert server.says() == [], "it is in recovery"
    server.refusal = None
    assert server.says() == ["PostgreSQL answers again"]


def test_a_socket_that_was_removed_is_the_reason(server: _Server) -> None:
    """And not the words of those who were cut when the server was ended for it."""
    why = "(its socket is gone: /run/.s.PGSQL.5432)"
    told = server.says(restarts=1, reason=f"{AT} [7] FATAL:  terminating connection\n{why}")
    assert told[0] == f"PostgreSQL ended and is started again: {why}"


def test_an_end_that_is_meant_is_no_news(server: _Server) -> None:
    server.stops()
    assert server.says(state="restarting", reason=of(20)) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", ""),
        (of(20), FULL.format(20)),
        (f"{AT} [7] tenantry_app@tenantry FATAL:  too many clients\n{AT} [7] LOG:  bye",
         "FATAL:  too many clients"),
        (f"{AT} [7] FATAL:  long ago\n" + f"{AT} [7] LOG:  x\n" * 20, "LOG:  x"),
        (f"{AT} [7] FATAL:  a client's\n(it was ended by signal 9)", "(it was ended by signal 9)"),
        (f"FATAL:  ours\n{LOG_TROUBLE}: [Errno 28] No space left on device: '/data/log')",
         "FATAL:  ours"),
        (f"{LOG_TROUBLE}: No space left on device)", f"{LOG_TROUBLE}: No space left on device)"),
    ],
)  # fmt: skip
def test_the_line_that_says_why(said: str, reason: str) -> None:
    assert main_reason(said) == reason
