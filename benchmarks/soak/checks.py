"""What is looked at in a quiet moment, and at the end: nothing is under way then."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.soak import accounts, census, faults, limits
from benchmarks.soak.cast import Member
from benchmarks.soak.course import ANSWER_S
from benchmarks.soak.stage import DRAIN_S
from benchmarks.soak.world import World

SHRED_S: Final = 300.0  # connections of clients may idle for 75 s, one worker after the other
NOTICES_S: Final = 90.0
FILES_MORE_MAX: Final = 64  # than at the first quiet moment, of a process of the same kind
CONNECTIONS_MAX: Final = 24 * 2 + 69  # as docs/how-to/run-in-production.md says
_LOOKED_FOR: Final = 6  # documents of a client, and as many that are gone, at each quiet moment
_CONNECTIONS: Final = """
SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'tenantry\\_%'
"""
_LATE_NOTICES: Final = """
SELECT notice_id::text, sink, state, attempts, last_error FROM tenantry.delivery
WHERE state = 'dead' OR (state = 'pending' AND next_at < now() - interval '60 seconds')
"""
_PENDING: Final = "SELECT count(*) FROM tenantry.delivery WHERE state = 'pending'"
_DELIVERED: Final = "SELECT notice_id::text FROM tenantry.delivery WHERE state = 'delivered'"


class Checks:
    """Of one soak; it remembers how many files were open at first, and how much of the log it
    has read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files: dict[str, int] = {}  # by kind, at the first quiet moment
        self._log_read = 0

    def quiet(self) -> None:
        """Closes the gate, looks at everything, and opens it again."""
        world = self._world
        begun = time.monotonic()
        if not world.gate.close(3 * ANSWER_S):
            world.journal.broke("a request has no end", "the gate did not close")
        try:
            faults.calm(world)
            time.sleep(max(DRAIN_S, faults.HANG_MS / 1_000))  # streams that were left have ended
            accounts.check(world)
            limits.check(world)
            for member in world.present():
                self._documents(member, _LOOKED_FOR)
            self._connections()
            self._log()
        finally:
            world.gate.open()
        world.journal.say(f"quiet for {time.monotonic() - begun:.0f} s")

    def last(self) -> None:
        """At the end, with the traffic gone: as in quiet moments, and everything of documents."""
        world = self._world
        faults.calm(world)
        time.sleep(max(DRAIN_S, faults.HANG_MS / 1_000))
        for member in world.present():
            self._documents(member, None)
        for member in world.members:
            if member.has_left:
                self._shredded(member)
        self._notices()
        accounts.check(world)
        limits.check(world)
        self._connections()
        self._log()

    def _documents(self, member: Member, at_most: int | None) -> None:
        """Who has the right to search finds what is there, and nothing of what is gone."""
        for library in member.libraries:
            caller, shelf = library.caller, library.shelf
            there, gone = list(shelf.there), list(shelf.gone)
            if at_most is not None:
                there = caller.chance.sample(there, min(at_most, len(there)))
                gone = caller.chance.sample(gone, min(at_most, len(gone)))
            for document_id in there:
                library.look_for(caller, document_id)
            for word in gone:
                library.look_for_gone(caller, word)
        self._listed(member)

    def _listed(self, member: Member) -> None:
        """The list has all that is there, and none that was deleted."""
        world, listed, cursor = self._world, set(), ""
        while True:
            path = f"/v1/documents?limit=100{cursor}"
            status, _, body = world.stack.http("GET", path, tenant=member)
            if status != 200:
                world.journal.broke("documents cannot be listed", f"{member.name}: {body[:300]!r}")
                return
            page = json.loads(body)
            listed |= {row["id"] for row in page["data"] if row["status"] == "ready"}
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        shelves = [library.shelf for library in member.libraries]
        there = set().union(*(shelf.there for shelf in shelves))
        if missing := there - listed:
            world.journal.broke("acknowledged documents are not listed", f"{member.name} {missing}")
        if left := listed & set().union(*(shelf.deleted for shelf in shelves)):
            world.journal.broke("deleted documents are listed", f"{member.name} {left}")

    def _shredded(self, member: Member) -> None:
        """It comes to its certificate, and nothing of it is left but figures."""
        world, deadline = self._world, time.monotonic() + SHRED_S
        path = f"/admin/v1/tenants/{member.id}/shred"
        while True:
            status, _, body = world.stack.http("GET", path, admin=True)
            said: dict[str, Any] = json.loads(body)
            if status == 200 and said.get("certificate"):
                break
            if time.monotonic() > deadline:
                world.journal.broke("a shred does not end", f"{member.name}: {body[:500]!r}")
                return
            time.sleep(1)
        accounts_folder = world.stack.home / "accounts"
        left = [str(found) for found in accounts_folder.glob(f"*/*/{member.id}/**/*")]
        if files := [each for each in left if Path(each).is_file()]:
            world.journal.broke("files of a shredded tenant are left", f"{member.name} {files[:5]}")

    def _notices(self) -> None:
        """Every notice came, signed; those that wait for the receiver's return are on their way."""
        world, deadline = self._world, time.monotonic() + NOTICES_S
        while world.stack.rows(_PENDING)[0][0] and time.monotonic() < deadline:
            time.sleep(1)
        for row in world.stack.rows(_LATE_NOTICES):
            world.journal.broke("a notice is late or dead", repr(dict(row)))
        came = world.receiver.came
        never = [row[0] for row in world.stack.rows(_DELIVERED) if row[0] not in came]
        if never:
            world.journal.broke("delivered notices never came", repr(never[:10]))
        if world.receiver.forged:
            world.journal.broke("a notice's signature is wrong", repr(world.receiver.forged[:10]))

    def _connections(self) -> None:
        """Open files of each process, and connections to the database, are as many as ever."""
        world = self._world
        for kind, pid in census.living(world.stack):
            files = census.open_files(pid)
            first = self._files.setdefault(kind, files)
            if files > first + FILES_MORE_MAX:
                world.journal.broke("open files grow", f"{kind} {pid}: {files}, at first {first}")
        [[connections]] = world.stack.rows(_CONNECTIONS)
        if connections > CONNECTIONS_MAX:
            world.journal.broke("connections grow", f"{connections} of {CONNECTIONS_MAX}")

    def _log(self) -> None:
        """Nothing in the log of the deployment is a fault of its own."""
        text = (self._world.stack.home / "serve.stderr").read_bytes()
        new, self._log_read = text[self._log_read :], len(text)
        at = new.find(b"Traceback (most recent call last)")
        if at >= 0:
            said = new[max(0, at - 500) : at + 3_000].decode(errors="replace")
            self._world.journal.broke("a fault in the log", said)
