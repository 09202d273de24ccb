"""Who is behind a record is kept out of the database: hashed under the site's own key, or left out.

MRIQC's clients hash subject and session without a key, so anybody can find a subject by trying names. Here both are
hashed again under a key that never leaves the site, and so are the serial number of the scanner and the name of
the institution, which then still tell one scanner and one site from another.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from functools import lru_cache
from pathlib import Path

from qcbench import durable
from qcbench.errors import UsageError

#: Replaced by a keyed hash; the others of `_LEFT_OUT` do not reach the database at all.
KEYED = ("subject_id", "session_id", "DeviceSerialNumber", "InstitutionName")
LEFT_OUT = ("InstitutionAddress",)
_EMAIL = re.compile(r"[^\s@,;<>\"']+@[^\s@,;<>\"']+\.[^\s@,;<>\"']+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_BYTES = 32


class Pseudonyms:
    """What stands for an identity here: the same for the same identity, and for nobody without the key.

    >>> Pseudonyms(bytes(32)).of("subject_id", "sub-01") == Pseudonyms(bytes(32)).of("subject_id", "01")
    True
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _KEY_BYTES:
            raise UsageError(f"a site key has {_KEY_BYTES} bytes, got {len(key)}; restore it from your backup")
        self._key = key
        # Records of one subject, scanner and institution come together.
        self._keyed = lru_cache(4096)(self._hash)

    def of(self, field: str, identity: str) -> str:
        """Return the keyed hash of an identity, 64 hexadecimal digits; fields do not share hashes."""
        plain = identity.removeprefix("sub-").removeprefix("ses-")
        # A client may have hashed already, as MRIQC's does, or not: both must meet in one hash.
        hashed = plain if _SHA256.fullmatch(plain) else hashlib.sha256(plain.encode()).hexdigest()
        return self._keyed(field, hashed)

    def _hash(self, field: str, hashed: str) -> str:
        return hmac.digest(self._key, f"{field}:{hashed}".encode(), "sha256").hex()


def site_key(path: Path) -> bytes:
    """Return the site's key from its file; one is made when there is no file. It is readable by its owner alone."""
    if not path.is_file():
        # Two that begin at once must not each hash under a key of their own.
        with durable.locked(path):
            if not path.is_file():
                durable.write_text(path, secrets.token_hex(_KEY_BYTES) + "\n", mode=0o600)
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError as error:
        raise UsageError(f"{path} is no site key ({error}); restore it from your backup") from error


def without_email(text: str) -> str:
    """Return a text with what looks like an e-mail address taken out.

    >>> without_email("ask ann@example.org, please")
    'ask [e-mail], please'
    """
    return _EMAIL.sub("[e-mail]", text) if "@" in text else text
