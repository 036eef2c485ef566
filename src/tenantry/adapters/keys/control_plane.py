"""The control plane's own key: seals SigV4 secrets, and is the pepper of API-key digests.

One random master in `$TENANTRY_HOME/control/key`, made once for all machines of a deployment; a
subkey for each use, so that none can weaken another. The database knows its fingerprint. Losing the
file invalidates every API key, so it belongs in the backup.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tenantry.adapters.keys.local_kms import is_private
from tenantry.domain.errors import Corrupt, Unavailable
from tenantry.ports.objects import Files

KEY_BYTES = 32
NONCE_BYTES = 12
_MAGIC = b"TNC1"


class ArchiveSigner:
    """`ports.archive.Signer`: Ed25519, so that who holds the public key alone can verify."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content)

    def verifies(self, content: bytes, signature: bytes) -> bool:
        try:
            self._key.public_key().verify(signature, content)
        except InvalidSignature:
            return False
        return True


class ControlPlaneKey:
    """Open it once at start with `load`. Never printable."""

    __slots__ = ("_cipher", "_pepper", "archive_signer", "fingerprint")

    def __init__(self, master: bytes) -> None:
        assert len(master) == KEY_BYTES, "the control plane's key has 32 bytes"
        self._cipher = AESGCM(_subkey(master, b"tenantry/control/seal/v1"))
        self._pepper = _subkey(master, b"tenantry/control/pepper/v1")
        self.archive_signer = ArchiveSigner(_subkey(master, b"tenantry/control/archive/v1"))
        # Tells one key from another, opens nothing and leads to no subkey: no secret.
        self.fingerprint = _subkey(master, b"tenantry/control/fingerprint/v1")

    @property
    def pepper(self) -> bytes:
        """32 bytes: the HMAC key of stored API-key digests."""
        return self._pepper

    def seal(self, plain: bytes, aad: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _MAGIC + nonce + self._cipher.encrypt(nonce, plain, _MAGIC + aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """The plaintext; Corrupt where bytes or binding differ."""
        head = len(_MAGIC)
        nonce, body = sealed[head : head + NONCE_BYTES], sealed[head + NONCE_BYTES :]
        try:
            if sealed[:head] != _MAGIC:
                raise ValueError("unknown format")
            return self._cipher.decrypt(nonce, body, _MAGIC + aad)
        except (InvalidTag, ValueError):
            raise Corrupt("A sealed secret does not open.") from None


def make(control_folder: Path, files: Files) -> None:
    """The key in `<control_folder>/key`, where there is none; safe when two start at once.

    For a database that was used with no key yet (`bootstrap/control_key.py`): to any other it
    would open nothing.
    """
    path = control_folder / "key"
    if not path.exists():
        files.create(path, secrets.token_bytes(KEY_BYTES))


def load(control_folder: Path) -> ControlPlaneKey:
    """The key in `<control_folder>/key`. Raises `Unavailable`, which names the file, where there is
    none or it must not be used, and OSError."""
    path = control_folder / "key"
    try:
        master = path.read_bytes()
    except FileNotFoundError:
        raise Unavailable(f"The control plane's key is not there: {path}.") from None
    if not is_private(path):
        raise Unavailable(f"{path} is open to others; its mode must be 0600.")
    if len(master) != KEY_BYTES:
        raise Unavailable(
            f"{path} is damaged: bring it back from the backup. Where it is lost for good, remove"
            " it, and `tenantry migrate --new-control-key` makes another one."
        )
    return ControlPlaneKey(master)


def _subkey(master: bytes, label: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=label).derive(master)
