"""What a long process writes on stderr: a line for each event, with its time, level and place.

Owns: the form. Does not own: what is worth a line. Levels below WARNING are not written.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime

# Libraries whose loggers tell of the world, not of a fault of ours: what they met is enough.
_OF_THE_WORLD = ("asyncpg",)


class EventLine(logging.Formatter):
    """`2026-11-29T07:05:50Z WARNING tenantry.entrypoints.worker[4711] …`; a fault of ours is
    followed by its traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        said = " ".join(record.getMessage().split("\n"))
        line = f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname} {record.name}[{os.getpid()}] {said}"
        failure = record.exc_info[1] if record.exc_info else None
        if failure is None:
            return line
        if record.name.partition(".")[0] in _OF_THE_WORLD and isinstance(failure, Exception):
            return f"{line}: {' '.join(str(failure).split()) or type(failure).__name__}"
        assert record.exc_info is not None
        return f"{line}\n{self.formatException(record.exc_info)}"


def log_events() -> None:
    """From now on in this process; whoever has set up logging otherwise keeps it."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(EventLine())
