"""What a benchmark promises: its last line, its bars, and a load that is what it says."""

import json
import os
import subprocess
import sys
import time

import pytest
from benchmarks import processes, wrk
from benchmarks.gateway import bars_of
from benchmarks.result import Bar, result_line

FIGURES = {
    "saturated": {"converse": {"cpu_us_gateway_worker": 321.5}},
    "four_connections": {"added_p50_ms": 3.6, "fdatasync_p50_ms": 0.25},
    "rss_mb_worker": 101.0,
}


def test_the_last_line_names_bench_machine_commit_figures_and_bars():
    line = result_line("gateway", FIGURES, bars_of(FIGURES))
    assert "\n" not in line
    result = json.loads(line)
    assert list(result) == ["bench", "machine", "commit", "figures", "bars"]
    assert result["bench"] == "gateway"
    assert str(os.cpu_count()) in result["machine"]
    assert result["bars"] == {
        "cpu_us_per_request": {"value": 321.5, "bar": 500.0, "holds": True},
        "added_p50_ms": {"value": 3.6, "bar": 3.5, "holds": False},
        "rss_mb_worker": {"value": 101.0, "bar": 200.0, "holds": True},
    }


@pytest.mark.parametrize(
    ("bar", "holds"),
    [
        (Bar(5.0, 5.0), True),
        (Bar(5.1, 5.0), False),
        (Bar(5.0, 5.0, "at least"), True),
        (Bar(4.9, 5.0, "at least"), False),
    ],
)
def test_a_bar_is_a_ceiling_or_a_floor(bar, holds):
    assert bar.holds is holds


def test_a_load_is_written_for_lua_and_names_every_request_anew():
    headers = [{"Authorization": 'Bearer "a\\b"'}, {"amz-sdk-invocation-id": wrk.UNIQUE}]
    load = wrk.Load("http://127.0.0.1:1", "/model/a%3A0/converse", headers, '{"x": "%d"}')
    script = wrk._script(load)
    assert 'PATH = "/model/a%3A0/converse"' in script
    assert 'BODY = "{\\"x\\": \\"%d\\"}"' in script
    assert '["Authorization"] = "Bearer \\"a\\\\b\\""' in script
    assert wrk._script(load) != script  # another run, other names


def test_a_load_with_other_characters_is_refused():
    with pytest.raises(ValueError, match="ASCII"):
        wrk._script(wrk.Load("http://127.0.0.1:1", "/", [{}], "ä"))


def test_a_missing_load_generator_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(wrk.LoadFailed, match="apt-get install wrk"):
        wrk.require_wrk()


def test_cpu_and_memory_of_a_process_are_read():
    spin = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert processes.cpu_s(child.pid) >= 0.15
        assert processes.peak_rss_mb(child.pid) > 1
        assert child.pid in processes.children(os.getpid(), "process_time")
        assert child.pid not in processes.children(os.getpid(), "another word")
        child.communicate(b"\n")
    assert processes.tree_cpu_s(os.getpid()) >= processes.cpu_s(os.getpid()) > 0


def test_a_disk_answers_and_keeps_nothing(tmp_path):
    begun = time.perf_counter()
    assert 0 < processes.fdatasync_ms(tmp_path) / 1_000 < time.perf_counter() - begun
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(processes.NotStarted, match="no_such_module"),
        processes.started("no_such_module", [], tmp_path / "log"),
    ):
        raise AssertionError("it started")
