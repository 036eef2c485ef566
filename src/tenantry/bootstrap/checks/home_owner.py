"""Whose the data folder is: root may not leave files in it that its owner cannot read, and nobody
else can look into it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from tenantry.config import Settings, variable_of


def owner_problems(config: Settings) -> list[str]:
    """A line where we are root and the data folder is another user's, as of a service. A deployment
    that root has made there already stays root's."""
    owner = _owner(config.home)
    if os.geteuid() != 0 or owner in (0, None) or _owner(config.home / "control") == 0:
        return []
    assert owner is not None
    name, user = user_of(owner)
    return [
        f"{config.home} ({variable_of('home')}) belongs to {name}, who could not read what root"
        f" leaves in it: run this as that user (sudo -u {user} …, with the same settings)"
    ]


def shut_out(config: Settings) -> str | None:
    """A line where this user may not look into the data folder, so that nothing can be said of what
    is in it."""
    told = f"{config.home} ({variable_of('home')})"
    try:
        found = config.home.stat()
    except PermissionError:
        return f"{told} lies in a folder that this user may not enter"
    except OSError:  # it is not there, or no folder: told of by who reads it
        return None
    if not stat.S_ISDIR(found.st_mode) or os.access(config.home, os.X_OK):
        return None
    name, user = user_of(found.st_uid)
    return (
        f"{told} belongs to {name} and is closed to this user: run this as that user"
        f" (sudo -u {user} …, with the same settings)"
    )


def user_of(uid: int) -> tuple[str, str]:
    """The user as words and as `sudo -u` takes it."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user id {uid}", f"'#{uid}'"
    return f"the user {name}", name


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None
