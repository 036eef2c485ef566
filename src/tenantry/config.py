"""The settings, parsed once: one TOML file, then `TENANTRY_*` variables over it.

Owns: every environment read and the meaning of every setting. Does not own: what is data (plans,
prices, models, placements).
Invariants: nothing is read at import; an unknown name, a wrong type or a figure out of its range
is an error that names setting and source; a secret is never printable; each value has its origin.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from tenantry.domain.masks import masked, without_userinfo

PREFIX: Final = "TENANTRY_"
CONFIG_VARIABLE: Final = "TENANTRY_CONFIG"  # the file's path; names no setting
FILE_NAME: Final = "tenantry.toml"
FILE_BYTES_MAX: Final = 1_000_000
REFUSED_SHOWN_MAX: Final = 200  # characters
DEFAULT: Final = "default"

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Millis = Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$")]
Bytes = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]


class SettingsError(ValueError):
    """The settings are wrong; the message has a line for each problem."""


def _setting(default: Any, about: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"about": about, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, in the order of `docs/reference/settings.md`. Units stand in the names."""

    # Where things are
    home: Path = _setting(Path(), "data folder; `$XDG_DATA_HOME/tenantry` by default")
    env: str = _setting("local", "label of this deployment in logs, metrics and request metadata")
    storage: Literal["postgres", "dynamodb"] = _setting(
        "postgres", "where accounting rests; `dynamodb` is not in this version, and refused"
    )
    database_url: str | None = _setting(
        None, "a PostgreSQL of your own; none: the embedded one", secret=True
    )
    postgres_bin: Path | None = _setting(
        None, "folder of the embedded PostgreSQL's binaries; none: those of the wheel"
    )
    objects_url: str | None = _setting(
        None, "not in this version, and refused: sealed objects lie in the data folder"
    )
    queue_url: str | None = _setting(None, "not in this version, refused: jobs wait in PostgreSQL")
    trash_keep_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = _setting(
        7, "that a sealed object can be put back once no row names it; 0: none"
    )

    # Keys
    kms: str = _setting(
        "local", "`local`, or the ARN of the AWS KMS key or alias that wraps tenant keys"
    )
    kms_endpoint_url: str | None = _setting(None, "of AWS KMS; none: Amazon's in the key's region")
    kms_deletion_days: Annotated[int, msgspec.Meta(ge=7, le=30)] = _setting(
        30, "AWS KMS waits before it deletes a tenant's own key that was retired"
    )
    key_store_url: str | None = _setting(
        None, "`s3://bucket/prefix` for wrapped tenant keys; none: the accounts' folders"
    )
    key_cache_ttl_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = _setting(
        300, "a worker may use a tenant key after its KMS key was disabled, or it was rotated"
    )
    key_cache_uses_max: Count = _setting(
        10_000, "uses of an opened tenant key, before the KMS is asked again"
    )

    # Amazon Bedrock
    bedrock_endpoint_url: str | None = _setting(
        None, "of the pool's Bedrock runtime; none: Amazon's in each region"
    )
    bedrock_ca_bundle: Path | None = _setting(
        None, "PEM file of the authorities trusted for it; none: the system's"
    )
    s3_folder: Path | None = _setting(
        None, "a folder for each bucket of batches in place of Amazon S3: the emulator's `s3_dir`"
    )
    upstream_connect_timeout_ms: Millis = _setting(5_000, "to open a connection to Bedrock")
    upstream_first_byte_timeout_ms: Millis = _setting(
        300_000, "from request to first byte; Bedrock may think for minutes"
    )
    upstream_idle_timeout_ms: Millis = _setting(120_000, "between two chunks of a stream")
    upstream_total_timeout_ms: Millis = _setting(900_000, "of one attempt, from first to last byte")
    upstream_connections_max: Count = _setting(
        512, "connections of one worker to one endpoint of Bedrock"
    )
    upstream_connections_total_max: Count = _setting(
        2_048, "connections of one worker to all endpoints of Bedrock, idle ones too"
    )

    # What listens
    http_host: str = _setting("127.0.0.1", "address of the data plane")
    http_port: Port = _setting(8080, "data plane in clear; 0: any free port")
    https_port: Port = _setting(8443, "data plane over TLS; 0: any free port")
    tls_names: str = _setting(
        "", "further names and addresses of the TLS certificate, with spaces between"
    )
    admin_host: str = _setting("127.0.0.1", "address of admin API and metrics")
    admin_port: Port = _setting(9090, "admin API and metrics; 0: any free port")
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = _setting(1, "gateway processes")
    shutdown_grace_ms: Millis = _setting(30_000, "for requests in flight when asked to stop")

    # Metering
    settle_wait_ms: Millis = _setting(5_000, "for a settlement to be durable; then 503 and unknown")
    unknown_hold_h: Annotated[int, msgspec.Meta(ge=1, le=720)] = _setting(
        72, "until an unknown attempt without a log record is written off"
    )
    unknown_estimate_after_ms: Millis = _setting(
        900_000, "until it is settled by estimate where no invocation log is configured"
    )
    drain_cap_ms: Millis = _setting(600_000, "to read on when the client has left a stream")
    invocation_log_url: str | None = _setting(
        None,
        "`s3://bucket/prefix` of the invocation logs of accounts whose placement names none; none:"
        " the accounts' folders",
    )
    invocation_log_poll_ms: Millis = _setting(60_000, "between two readings of the invocation log")
    batch_poll_ms: Millis = _setting(30_000, "between two looks at batch jobs that have not ended")

    # The ledger's archive
    archive_folder: Path | None = _setting(
        None, "where archived months of the ledger lie; none: `archive` in the data folder"
    )
    archive_after_months: Annotated[int, msgspec.Meta(ge=0, le=120)] = _setting(
        0, "the worker archives a month that ended so many months ago; 0: none by itself"
    )

    # Alerts
    alert_floor_tokens: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = _setting(
        250_000, "over normal, below which unusual usage is not told"
    )
    alert_floor_charge: Amount = _setting(
        "0.05", "of that excess, in USD of list charge, below which it is not told either"
    )

    # Invoices
    invoice_issuer: Path | None = _setting(
        None, "TOML file of who issues invoices; none: drafts only"
    )
    invoice_run: Literal["off", "review", "automatic"] = _setting(
        "review", "what the worker does with a period that is over: draft for review, or finalise"
    )
    invoice_after_h: Annotated[int, msgspec.Meta(ge=0, le=720)] = _setting(
        1, "after its end a period is invoiced by the worker"
    )

    invoice_fonts: Path | None = _setting(
        None, "folder of fonts for scripts that those shipped do not draw, such as Chinese"
    )
    shared_costs: Path | None = _setting(
        None, "TOML file of what a month costs beside tokens, for margin reports"
    )

    # Knowledge
    segment_cache_max_bytes: Bytes = _setting(
        268_435_456, "of opened partitions in one worker's memory"
    )
    vectors: Literal["sealed", "pgvector", "opensearch", "pinecone", "weaviate"] = _setting(
        "sealed", "where passages are searched: sealed partitions, or an engine with clear vectors"
    )
    pgvector_url: str | None = _setting(
        None, "PostgreSQL with pgvector, by a role that may set it up; none: our own", secret=True
    )
    pgvector_index: Literal["none", "hnsw"] = _setting(
        "none", "`hnsw`: approximate search in pgvector; none: exact"
    )
    opensearch_url: str | None = _setting(
        None, "`https://user:password@host:port` of OpenSearch", secret=True
    )
    pinecone_host: str | None = _setting(None, "of the Pinecone index, as its console shows it")
    pinecone_api_key: str | None = _setting(None, "for the Pinecone index", secret=True)
    weaviate_url: str | None = _setting(None, "`https://host:port` of Weaviate's REST API")
    weaviate_grpc_url: str | None = _setting(None, "`https://host:port` of Weaviate's gRPC API")
    weaviate_api_key: str | None = _setting(None, "for Weaviate; none: anonymous", secret=True)

    # Idempotency and signatures
    idempotency_keep_h: Annotated[int, msgspec.Meta(ge=1, le=168)] = _setting(
        24, "a result under an idempotency key is kept"
    )
    idempotency_result_max_bytes: Annotated[int, msgspec.Meta(ge=1, le=16_777_216)] = _setting(
        1_048_576, "of a result that is kept"
    )

    # Notices to the outside
    webhook_url: str | None = _setting(
        None, "where notices are posted, signed; none: nowhere", secret=True
    )
    webhook_secret: str | None = _setting(None, "signs them: `whsec_…`", secret=True)
    webhook_secret_previous: str | None = _setting(
        None, "signs them too, while receivers change over", secret=True
    )
    smtp_url: str | None = _setting(
        None,
        "hands alerts in: `smtps://user:password@host`, `smtp+starttls://…`, `smtp://…`",
        secret=True,
    )
    alert_email_from: str | None = _setting(None, "sender of the alerts")
    alert_email_to: str | None = _setting(None, "receivers of the alerts, with commas between")
    outside_ca_bundle: Path | None = _setting(
        None,
        "PEM file of authorities trusted for webhooks, mail and OpenSearch beside the system's",
    )
    stripe_api_key: str | None = _setting(
        None, "pushes invoices of linked tenants to Stripe; none: nowhere", secret=True
    )
    stripe_api_url: str | None = _setting(None, "of Stripe's API; none: Stripe's own")
    stripe_collection: Literal["charge_automatically", "send_invoice"] = _setting(
        "send_invoice", "how Stripe collects an invoice"
    )
    stripe_days_due: Annotated[int, msgspec.Meta(ge=1, le=365)] = _setting(
        30, "days until a sent invoice is due at Stripe, where its document has no due date"
    )
    notice_keep_days: Annotated[int, msgspec.Meta(ge=30, le=3_650)] = _setting(
        400, "days a notice is kept, and told from a repetition"
    )

    # For the command line
    url: str | None = _setting(None, "of a running gateway's data plane; none: this machine's")
    api_key: str | None = _setting(
        None, "a tenant admin's API key, for documents, search, ask and export", secret=True
    )
    operator_token: str | None = _setting(
        None, "an operator's token, for the admin API", secret=True
    )

    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    refused: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def origin(self, name: str) -> str:
        """Where a value came from: `default`, `file …` or `variable …`."""
        return self.origins.get(name, DEFAULT)


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as `doctor` prints it; `value` is masked where it is secret."""

    name: str
    variable: str
    value: str
    origin: str
    about: str


def examine_settings(environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """The settings with the default in place of each that is `refused`, and what is wrong."""
    variables = _variables(os.environ if environ is None else environ)
    home = _home(variables, os.environ if environ is None else environ)
    named = variables.pop(CONFIG_VARIABLE, None)
    path = Path(named).expanduser() if named else home / FILE_NAME
    read = _Read({"home": home}, {}, {}, [])
    try:
        table = _read_file(path, required=named is not None)
    except SettingsError as unreadable:
        table = {}
        read.problems.append(str(unreadable))
    for name, raw in table.items():
        _take(read, name, raw, f"file {path}", strict=True)
    for variable, text in variables.items():
        name = variable.removeprefix(PREFIX).lower()
        _take(read, name, text, f"variable {variable}", strict=False)
    for name, value in read.values.items():
        if isinstance(value, Path):
            read.values[name] = value.expanduser().absolute()
    return Settings(**read.values, origins=read.origins, refused=read.refused), read.problems


def describe(settings: Settings) -> Iterator[Described]:
    """Every setting with its value and where it came from; secrets, and users in URLs, masked."""
    for item in _fields():
        value = settings.refused.get(item.name, getattr(settings, item.name))
        shown = "" if value is None else str(value)
        if item.metadata["secret"] and shown:
            shown = masked(shown)
        elif not isinstance(value, Path):
            shown = without_userinfo(shown)
        yield Described(
            item.name,
            variable_of(item.name),
            shown,
            settings.origin(item.name),
            item.metadata["about"],
        )


def variable_of(name: str) -> str:
    """The variable that sets `name`."""
    return PREFIX + name.upper()


def setting_names() -> tuple[str, ...]:
    return tuple(item.name for item in _fields())


def _fields() -> list[dataclasses.Field[Any]]:
    return [item for item in dataclasses.fields(Settings) if item.metadata]


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Tenantry's variables; an empty one counts as not set."""
    return {
        name: text for name, text in sorted(environ.items()) if name.startswith(PREFIX) and text
    }


def _home(variables: Mapping[str, str], environ: Mapping[str, str]) -> Path:
    """Known before the file is read, because the file lies in it."""
    if named := variables.get(variable_of("home")):
        return Path(named).expanduser()
    if data := environ.get("XDG_DATA_HOME"):
        return Path(data) / "tenantry"
    return Path(environ.get("HOME") or Path.home()) / ".local" / "share" / "tenantry"


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        if required:
            raise SettingsError(f"{CONFIG_VARIABLE}: there is no file {path}") from None
        return {}
    except NotADirectoryError:
        variable = CONFIG_VARIABLE if required else variable_of("home")
        raise SettingsError(f"{variable}: {path.parent} is no folder") from None
    except OSError as error:
        raise SettingsError(f"file {path}: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise SettingsError(f"file {path}: larger than {FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"file {path}: not TOML: {error}") from None


class _Read(NamedTuple):
    """What has been read so far; `refused` keeps what was given in place of a value."""

    values: dict[str, Any]
    origins: dict[str, str]
    refused: dict[str, str]
    problems: list[str]


def _take(read: _Read, name: str, raw: object, origin: str, *, strict: bool) -> None:
    """One value into `values`, or one line into `problems`, which never repeats it."""
    if name not in setting_names():
        near = difflib.get_close_matches(name, setting_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        read.problems.append(f"{origin}: unknown setting {name}{hint}")
        return
    kind = get_type_hints(Settings, include_extras=True)[name]
    read.origins[name] = origin
    try:
        read.values[name] = msgspec.convert(raw, kind, strict=strict, dec_hook=_to_path)
    except msgspec.ValidationError as error:
        read.refused[name] = str(raw)[:REFUSED_SHOWN_MAX]
        read.problems.append(f"{origin}: {name} {_reason(kind, error)}")


def _reason(kind: object, error: msgspec.ValidationError) -> str:
    """What was expected; never the value, which may be a secret."""
    if get_origin(kind) is Literal:
        return f"must be one of {', '.join(get_args(kind))}"
    expected = str(error).partition(", got ")[0].replace("`int`", "a whole number")
    return f"is wrong: {expected.replace('`', '').replace('Expected', 'expected')}"


def _to_path(kind: type, raw: object) -> Path:
    if kind is not Path or not isinstance(raw, str) or not raw:
        raise msgspec.ValidationError("Expected a path")
    return Path(raw)
