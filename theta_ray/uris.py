"""URIs of objects: which are taken, and how one is shown without what could be a secret in it."""

from __future__ import annotations

import re

from theta_ray.errors import ConfigError

AZURE = ("abfs", "abfss", "az")
SCHEMES = ("s3", "gs", "gcs", *AZURE)
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")
# A lone question mark is a glob; one before a name and a value could set an endpoint or hold a signature.
QUERY = re.compile(r"[?&#][^/?&#=]*=")


def check_uri(uri: str, scheme: str) -> None:
    """Refuse everything but the plain address of an object; what could be a secret is not repeated."""
    shown = masked(uri)
    if "://...@" in shown:
        raise ConfigError(f"{shown}: holds credentials; put them in the environment, not in a URI")
    if scheme == "file":
        raise ConfigError(f"{shown}: write a local path without file://")
    if scheme not in SCHEMES or not uri.startswith(f"{scheme}://"):
        raise ConfigError(f"{shown}: scheme {scheme} is not read; use a local path or one of {', '.join(SCHEMES)}")
    if shown != uri:
        raise ConfigError(f"{shown}: holds a query; name the object alone, endpoints and keys in the environment")


def masked(uri: str) -> str:
    """`uri` without what could be a secret: user and password, and the values of a query."""
    scheme = SCHEME.match(uri)
    if scheme is None:
        return uri
    rest = uri[scheme.end() :]
    host = rest.partition("/")[0]
    if "@" in rest and ":" in host or "@" in host and scheme[1] not in AZURE:
        rest = f"...@{rest.rpartition('@')[2]}"  # the last one: a secret may hold slashes
    query = QUERY.search(rest)
    return f"{scheme[1]}://{rest[: query.start() + 1]}..." if query else f"{scheme[1]}://{rest}"
