"""A supervisor as a process of its own, to be ended in many ways."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 60.0


@contextmanager
def supervised(
    home: Path, *files: int, hangup: signal.Handlers = signal.SIG_DFL, **environment: str
) -> "Iterator[subprocess.Popen[str]]":
    """A supervisor in a process group of its own, with what its worker and it write on stderr."""
    command = [sys.executable, "-m", "tests.support.http_supervised", str(home), *map(str, files)]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hangup),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
