"""Asks, from where this process runs, whether our own public address answers."""

from __future__ import annotations

import requests

CONNECT_SECONDS = 3.0
READ_SECONDS = 6.0
_MOST_BYTES = 1024


def find_fault(public_url: str, timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS)) -> str | None:
    """What is wrong with `public_url`/healthz, in a few words; None if the service answers there.

    `timeout` is (connect, read) in seconds. Redirects are not followed: with one, what the provider posts
    would be lost.
    """
    session = requests.Session()
    session.trust_env = False
    try:
        with session.get(
            f"{public_url}/healthz", timeout=timeout, stream=True, allow_redirects=False
        ) as answer:
            if answer.status_code != 200:
                return f"it answers with HTTP {answer.status_code}"
            is_ours = b'"alive"' in answer.raw.read(_MOST_BYTES, decode_content=True)
            return None if is_ours else "something else answers there"
    except requests.exceptions.SSLError:
        return "its certificate is not accepted"
    except requests.exceptions.Timeout:
        return "no answer in time"
    except Exception:  # a library's message may quote the address; what kind it was helps nobody
        return "no connection"
    finally:
        session.close()
