"""Load by `wrk`, a compiled load generator: its own cost stays small beside what it measures."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = "wrk is not installed; on Debian and Ubuntu: apt-get install wrk"
UNIQUE = "@@@@@@@@-@@@@-4@@@-8@@@-@@@@@@@@@@@@"  # in a header: another UUID for each request
_SLACK_S = 30.0  # past a load's own time
_TIMEOUT_S = 20  # an answer that is later is an error

_SCRIPT = """\
local plain, halves, sent = {}, {}, 0
function init(args)
  local mark = "%(unique)s"
  for _, headers in ipairs(HEADERS) do
    local text = wrk.format("POST", PATH, headers, BODY)
    local at = string.find(text, mark, 1, true)
    plain[#plain + 1] = text
    if at then
      halves[#halves + 1] = {string.sub(text, 1, at - 1), string.sub(text, at + #mark)}
    end
  end
end
function request()
  sent = sent + 1
  local which = sent %% #plain + 1
  if #halves == 0 then return plain[which] end
  local half = halves[which]
  return half[1] .. string.format("%(run)s-%%04x-4000-8000-%%012x", sent %% 65536, sent) .. half[2]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "us": %%d, "p50_us": %%d, "p99_us": %%d, "errors": '
    .. '{"connection": %%d, "not 2xx": %%d, "time-out": %%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write, e.status, e.timeout))
end
"""


class LoadFailed(Exception):
    """The load did not run, or some of its requests were refused."""


@dataclass(frozen=True, slots=True)
class Load:
    """POSTs of one body; the header sets take turns."""

    url: str
    path: str
    headers: Sequence[Mapping[str, str]]
    body: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of a load saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


def require_wrk() -> str:
    """The path of wrk. Raises `LoadFailed` that says how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise LoadFailed(MISSING)
    return found


def run(load: Load, *, connections: int, seconds: int, folder: Path) -> Measured:
    """Runs a load in closed loops. Raises `LoadFailed` where one answer was not a 2xx."""
    script = folder / "load.lua"
    script.touch(mode=0o600)  # it holds API keys
    script.write_text(_script(load), encoding="utf-8")
    command = [require_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["--timeout", f"{_TIMEOUT_S}s", "-s", str(script)]
    ended = subprocess.run(
        [*command, load.url], capture_output=True, text=True, timeout=seconds + _SLACK_S
    )
    last = ended.stdout.strip().splitlines()[-1:]
    if ended.returncode or not last or not last[0].startswith("{"):
        raise LoadFailed(f"wrk: {(ended.stderr or ended.stdout).strip()}")
    figures = json.loads(last[0])
    if any(figures["errors"].values()) or not figures["requests"]:
        raise LoadFailed(f"{load.path}: {figures['requests']} requests, {figures['errors']}")
    return Measured(
        figures["requests"],
        figures["us"] / 1e6,
        figures["p50_us"] / 1e3,
        figures["p99_us"] / 1e3,
    )


def _script(load: Load) -> str:
    """JSON strings of ASCII are Lua strings, but for `\\/` and `\\u`, which do not occur."""
    sets = ", ".join(
        "{" + ", ".join(f"[{_lua(k)}] = {_lua(v)}" for k, v in headers.items()) + "}"
        for headers in load.headers
    )
    words = {"unique": UNIQUE, "run": secrets.token_hex(4)}
    return (
        f"HEADERS = {{{sets}}}\nPATH = {_lua(load.path)}\nBODY = {_lua(load.body)}\n"
        + _SCRIPT % words
    )


def _lua(text: str) -> str:
    quoted = json.dumps(text)
    if "\\u" in quoted:
        raise ValueError("a load is written in printable ASCII")
    return quoted
