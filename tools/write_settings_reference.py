"""Writes the reference of settings from the settings themselves.

`python -m tools.write_settings_reference`; a test holds that the file is what this writes.
"""

from __future__ import annotations

from pathlib import Path

from tenantry.config import CONFIG_VARIABLE, FILE_NAME, Settings, describe

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"

HEAD = f"""# Settings

One TOML file and `TENANTRY_*` variables; a variable wins over the file, and an empty variable
counts as not set. The file is the one that `{CONFIG_VARIABLE}` names, else `{FILE_NAME}` in the
data folder. `tenantry doctor` prints what was set, where, and what is wrong; `--all` all. Unknown
names, wrong types and figures out of range are errors at start. Secrets are never printed.

A name says its unit: `_ms` milliseconds, `_h` hours, `_bytes` bytes, `_max` a largest number.

| in the file | variable | default | what it is |
|---|---|---|---|
"""

TAIL = """
## A gateway over TLS

Behind `TENANTRY_URL=https://…` (and `audit isolation --url`) the system's authorities are trusted,
or those of the PEM file that `SSL_CERT_FILE` names in their place. The certificate that a gateway
made for itself is of an authority of its own, `tls/ca.pem` in its `TENANTRY_HOME`:

    export TENANTRY_URL=https://gateway.example.com:8443 SSL_CERT_FILE=ca.pem

On the machine and with the `TENANTRY_HOME` of the gateway nothing need be set: for `localhost`,
`127.0.0.1`, `::1` and `TENANTRY_TLS_NAMES` its `ca.pem` is trusted too.
"""


def settings_reference() -> str:
    """The whole page."""
    rows = [
        f"| `{item.name}` | `{item.variable}` | {_default(item.name, item.value)} | {item.about} |"
        for item in describe(Settings())
    ]
    return HEAD + "\n".join(rows) + "\n" + TAIL


def _default(name: str, value: str) -> str:
    if name == "home":
        return "`~/.local/share/tenantry`"
    return f"`{value}`" if value else "none"


if __name__ == "__main__":
    TARGET.write_text(settings_reference(), "utf-8")
