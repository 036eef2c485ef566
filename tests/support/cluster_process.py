"""A program that runs an embedded cluster until its standard input ends: one to be killed.

`python -m tests.support.cluster_process FOLDER [HOME]` prints `ready` and the cluster's status,
or the refusal's class and message, as one JSON line.
"""

import dataclasses
import json
import sys
from pathlib import Path

from tests.support.postgres import new_cluster

from tenantry.adapters.postgres.errors import DatabaseError


def main() -> int:
    folder, home = Path(sys.argv[1]), (sys.argv[2:] or ["home"])[0]
    cluster = new_cluster(folder, home)
    try:
        cluster.start()
    except DatabaseError as refusal:
        _say({"refused": type(refusal).__name__, "message": str(refusal)})
        return 1
    status = cluster.status()
    assert status is not None
    _say({"ready": dataclasses.asdict(status), "dsn": cluster.dsn("app")})
    sys.stdin.read()
    cluster.stop()
    return 0


def _say(word: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
