"""The certificate of a `serve` that runs for longer than it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from tenantry.entrypoints.http.tls import ensure_local_tls, tls_problems

LOOK_EVERY: Final = timedelta(days=1)
_log = logging.getLogger(__name__)


class TlsWatch:
    """The certificate that all workers of a supervisor serve, looked at once a day. Raises
    `TlsUnfit` where there can be none."""

    def __init__(self, home: Path, names: Sequence[str], now: Callable[[], datetime]) -> None:
        self._home = home
        self._names = names
        self._now = now
        self._looked_at = now()
        self.files = ensure_local_tls(home, names, now=self._looked_at)
        self._served = self.files.certificate.read_bytes()

    def is_due(self) -> bool:
        """Also of a clock that was set back."""
        return abs(self._now() - self._looked_at) >= LOOK_EVERY

    def look(self) -> bool:
        """Whether workers have to take it anew: it was renewed, now or by another process."""
        self._looked_at = self._now()
        try:
            ensure_local_tls(self._home, self._names, now=self._looked_at)
            found = self.files.certificate.read_bytes()
        except OSError as unfit:
            _log.error("the TLS certificate was not looked after: %s", unfit)
            return False
        for line in tls_problems(self._home, self._looked_at):
            _log.warning("TLS: %s", line)
        is_another, self._served = found != self._served, found
        return is_another
