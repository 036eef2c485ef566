"""By which names the emulator's own endpoints may be called."""

from __future__ import annotations

import pytest

from bedrock_emulator.wire.own import names_this_machine


@pytest.mark.parametrize(
    ("host", "listening", "taken"),
    [
        ("127.0.0.1:8090", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", True),
        ("[::1]:8090", "127.0.0.1", True),
        ("LocalHost:8090", "127.0.0.1", True),
        ("bedrock.us-east-1.localhost.", "127.0.0.1", True),
        ("", "127.0.0.1", True),  # a browser always names one
        ("emulator:8090", "emulator", True),
        ("evil.example", "127.0.0.1", False),
        ("evil.example:8090", "::1", False),
        ("evil.example", "emulator", False),
        ("127.0.0.1.evil.example", "localhost", False),
        ("notlocalhost", "127.0.0.1", False),
        ("[nonsense", "127.0.0.1", False),
        ("10.0.0.7:8090", "127.0.0.1", False),
        ("emulator:8090", "0.0.0.0", True),
        ("emulator:8090", "::", True),
    ],
)
def test_names(host, listening, taken):
    assert names_this_machine(host, listening) is taken
