"""`make conformance-aws` on a machine without AWS credentials."""

import os
import subprocess
import sys


def test_it_says_that_nothing_was_run(tmp_path):
    """Nobody may take silence, or an exit status, for a run that passed."""
    plain = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.conformance"],
        env={**plain, "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "NOT run" in ended.stdout
    assert "Nothing has been checked" in ended.stdout
