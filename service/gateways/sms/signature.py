"""Whether a web request really comes from the provider, and the same signature for our own simulator.

The provider signs the full public URL and every form field with the account's token (provider guide on
webhook security). Everything about it is untrusted input: a strange header or form is simply not signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator, get_signature_algorithm

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
"""Present when a shared key instead of the account's token made the signature; names the algorithm."""

_ALGORITHMS = frozenset({HMAC_SHA1, HMAC_SHA256})
_MAX_HEADER_LENGTH = 256


class SignatureChecker:
    """Checks signatures against several tokens, so that a token can be rotated without losing a text.

    Build one per process. Raises ValueError when there is no token or an empty one: anybody can sign
    with an empty token.
    """

    __slots__ = ("_validators",)

    def __init__(self, tokens: Sequence[str]) -> None:
        if isinstance(tokens, str) or not tokens or not all(tokens):
            raise ValueError("a signature check needs a list of tokens, none of them empty")
        self._validators = tuple(RequestValidator(token) for token in tokens)

    def is_signed(
        self, url: str, form: Mapping[str, str], signature: str | None, settings: str | None = None
    ) -> bool:
        """Say whether `signature` (the header, or None) was made for this URL and form by one of the tokens.

        `url` is the configured public URL with path and query exactly as requested, never one rebuilt
        from request headers. `form` is the whole form, empty values and repeated names included: pass
        the web framework's own multi-value form. `settings` is the content of SETTINGS_HEADER.
        """
        if not signature or len(signature) > _MAX_HEADER_LENGTH:
            return False
        algorithm = get_signature_algorithm(settings).upper()
        if algorithm not in _ALGORITHMS:
            return False
        address = _without_fragment(url)
        try:
            return any(check.validate(address, form, signature, algorithm) for check in self._validators)
        except (ValueError, TypeError):
            # An impossible port, a lone surrogate, a value that is no text: nothing the provider would sign.
            return False


def is_signed(url: str, form: Mapping[str, str], signature: str | None, tokens: Sequence[str]) -> bool:
    """Like `SignatureChecker.is_signed`, for a single check; without any token nothing is signed."""
    usable = [token for token in tokens if token]
    return bool(usable) and SignatureChecker(usable).is_signed(url, form, signature)


def sign(url: str, form: Mapping[str, str], token: str) -> str:
    """Return the signature that the provider would send with this form to this URL."""
    signature: str = RequestValidator(token).compute_signature(_without_fragment(url), form)
    return signature


def _without_fragment(url: str) -> str:
    # `#rc=5&rp=all` sets retries at the provider; it never reaches the wire and is never signed.
    return url.partition("#")[0]
