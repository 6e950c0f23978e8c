"""Keys for what is stored: encryption of what can be read, and a keyed hash to find a number again."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class DecryptionError(Exception):
    """A stored value does not open with any of the configured encryption keys."""


@dataclass(frozen=True, slots=True)
class LookupHash:
    """The keyed hash of a number and the id of the key it was made with."""

    value: str
    key_id: str


class Keyring:
    """Encrypts, decrypts and hashes with the configured keys, newest first.

    The newest key writes; every key reads. A hash is HMAC-SHA256 over the number in E.164 form (or any
    other normalized word), so that equal numbers are found without being readable.
    """

    def __init__(self, encryption_keys: Sequence[str], lookup_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in encryption_keys])
        self._lookup_keys = tuple((_key_id(key), key.encode()) for key in lookup_keys)

    @property
    def lookup_key_ids(self) -> tuple[str, ...]:
        """Ids of the configured look-up keys, newest first. An id tells nothing about its key."""
        return tuple(key_id for key_id, _ in self._lookup_keys)

    def encrypt(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Open a stored value. Raises DecryptionError if no configured key fits."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise DecryptionError(
                "a stored value does not open with the configured ENCRYPTION_KEYS"
            ) from None

    def hash_newest(self, text: str) -> LookupHash:
        """Hash with the newest key: what new rows store."""
        key_id, key = self._lookup_keys[0]
        return LookupHash(_hmac(key, text), key_id)

    def hash_all(self, text: str) -> tuple[str, ...]:
        """Hash with every key: what look-ups search for, so that rotation forgets nobody."""
        return tuple(_hmac(key, text) for _, key in self._lookup_keys)


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key_id(key: str) -> str:
    return hashlib.sha256(b"lookup-key-id:" + key.encode()).hexdigest()[:12]
