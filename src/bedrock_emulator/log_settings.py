"""What `PUT /logging/modelinvocations` sets, for each account and region, kept over restarts.

Until it is called, every account logs counts into its folder and no body at all: each
`…DataDeliveryEnabled` is off. A switch that a PUT leaves out is off as well.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.files import reading_again, replace_file

SWITCHES = ("text", "image", "embedding", "video", "audio")
NAME_CHARS_MAX = 1_024


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Records go to the account's folder only where an S3 bucket is named."""

    bucket: str | None = "bedrock-emulator-logs"
    key_prefix: str = ""
    text: bool = False
    image: bool = False
    embedding: bool = False
    video: bool = False
    audio: bool = False
    cloud_watch: dict[str, Any] | None = None  # kept and returned, nothing is delivered there

    def to_document(self) -> dict[str, Any]:
        """The `loggingConfig` of Bedrock's control plane."""
        document: dict[str, Any] = {}
        if self.cloud_watch is not None:
            document["cloudWatchConfig"] = self.cloud_watch
        if self.bucket is not None:
            document["s3Config"] = {"bucketName": self.bucket, "keyPrefix": self.key_prefix}
        for switch in SWITCHES:
            document[f"{switch}DataDeliveryEnabled"] = getattr(self, switch)
        return document


def from_document(body: Any) -> LogSettings:
    """Reads the body of a PUT; raises ValidationException."""
    config = body.get("loggingConfig") if isinstance(body, dict) else None
    if not isinstance(config, dict):
        raise _invalid("loggingConfig is required")
    s3 = config.get("s3Config")
    cloud_watch = config.get("cloudWatchConfig")
    if s3 is None and cloud_watch is None:
        raise _invalid("loggingConfig needs s3Config or cloudWatchConfig")
    bucket, prefix = None, ""
    if s3 is not None:
        if not isinstance(s3, dict):
            raise _invalid("s3Config must be an object")
        bucket = s3.get("bucketName")
        prefix = "" if s3.get("keyPrefix") is None else s3["keyPrefix"]
        if not isinstance(bucket, str) or not 3 <= len(bucket) <= 63:
            raise _invalid("s3Config.bucketName must have 3 to 63 characters")
        if not isinstance(prefix, str) or len(prefix) > NAME_CHARS_MAX:
            raise _invalid("s3Config.keyPrefix must be a string of at most 1,024 characters")
        if prefix.startswith("/") or ".." in prefix.split("/") or "\0" in prefix:
            raise _invalid("s3Config.keyPrefix must be a relative path")
    if cloud_watch is not None and not isinstance(cloud_watch, dict):
        raise _invalid("cloudWatchConfig must be an object")
    switches = {}
    for switch in SWITCHES:
        value = config.get(f"{switch}DataDeliveryEnabled", False)
        if not isinstance(value, bool):
            raise _invalid(f"{switch}DataDeliveryEnabled must be a boolean")
        switches[switch] = value
    return LogSettings(bucket=bucket, key_prefix=prefix, cloud_watch=cloud_watch, **switches)


class LogSettingsStore:
    """Settings by account and region in one small file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._settings: dict[str, LogSettings | None] = {}
        if path.exists():
            with reading_again(path):
                for key, value in orjson.loads(path.read_bytes()).items():
                    self._settings[key] = None if value is None else LogSettings(**value)

    def get(self, account: str, region: str) -> LogSettings | None:
        """None where logging was switched off."""
        return self._settings.get(f"{account}/{region}", DEFAULT)

    def put(self, account: str, region: str, settings: LogSettings | None) -> None:
        """None switches logging off."""
        self._settings[f"{account}/{region}"] = settings
        document = {
            key: None if value is None else asdict(value) for key, value in self._settings.items()
        }
        replace_file(self._path, orjson.dumps(document))


DEFAULT = LogSettings()


def _invalid(message: str) -> EmulatedError:
    return EmulatedError("ValidationException", 400, message)
