"""Author ids become keyed pseudonyms: equal authors stay equal, and nobody without the key can undo it.

User ids can be counted through, so an unkeyed hash would hide nobody.
"""

from __future__ import annotations

import functools
import hmac
import os

from theta_ray.config import Corpus
from theta_ray.corpus.readers import has_authors
from theta_ray.errors import ConfigError

KEY_VARIABLE = "THETA_RAY_AUTHOR_KEY"
MIN_KEY_CHARS = 16
PSEUDONYM_CHARS = 32


def read_key(corpus: Corpus) -> bytes | None:
    """The key for the author pseudonyms, or None where the recipe needs none. Driver only.

    Raises:
        ConfigError: the recipe asks for pseudonyms and the environment has no key, or a short one.
    """
    if corpus.authors != "pseudonym" or not any(has_authors(spec) for spec in corpus.inputs):
        return None
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < MIN_KEY_CHARS:
        problem = f"has fewer than {MIN_KEY_CHARS} characters" if key else "is not set"
        raise ConfigError(
            f"corpus.authors: pseudonym needs a secret key, and {KEY_VARIABLE} {problem}; export one made by "
            "`openssl rand -hex 32` and keep it, or say authors: raw or authors: drop"
        )
    return key.encode("utf-8", "surrogateescape")


def key_id(key: bytes) -> str:
    """8 hex digits that tell keys apart and give none away."""
    return hmac.digest(key, b"theta_ray key id", "sha256").hex()[:8]


@functools.lru_cache(maxsize=2**16)
def pseudonym(key: bytes, author: str) -> str:
    """32 hex digits of HMAC-SHA-256 of the author's id."""
    return hmac.digest(key, author.encode("utf-8", "surrogatepass"), "sha256").hex()[:PSEUDONYM_CHARS]
