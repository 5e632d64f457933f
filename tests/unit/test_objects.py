from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from theta_ray.errors import ConfigError, InputError
from theta_ray.objects import open_filesystem


@pytest.mark.parametrize("uri", ["s3://key:canary@bucket/x", "gs://me:canary@bucket/x"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigError, match="put them in the environment") as refused:
        open_filesystem(uri)
    assert "canary" not in str(refused.value)


def test_an_azure_container_is_no_credential() -> None:
    with contextlib.suppress(InputError):  # where the azure extra is not installed
        open_filesystem("abfs://container@account.dfs.core.windows.net/x")


def test_a_local_path_may_hold_any_sign(tmp_path: Path) -> None:
    assert open_filesystem(str(tmp_path / "a:b@c"))[1].endswith("a:b@c")
