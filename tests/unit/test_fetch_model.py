"""A model comes into its folder checked and whole, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from theta_ray.console.fetch_model import fetch, main
from theta_ray.encoder.source import weights_sha256
from theta_ray.errors import ConfigError, InputError, TransientError

MODEL, REVISION = "somebody/small-bert", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"


class Hub:
    """Gives a folder's files, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, 0

    def __call__(self, model: str, revision: str, folder: Path) -> None:
        self.calls += 1
        assert (model, revision) == (MODEL, REVISION)
        shutil.copytree(self.folder, folder)
        (folder / ".cache").mkdir()


def test_a_model_is_fetched_once_and_checked_every_time(bert: Path, tmp_path: Path) -> None:
    hub, pinned = Hub(bert), (MODEL, REVISION, weights_sha256(bert))
    folder = fetch(tmp_path, pinned, hub)
    assert folder == tmp_path / "somebody--small-bert"
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in bert.iterdir())
    assert fetch(tmp_path, pinned, hub) == folder
    assert hub.calls == 1
    with pytest.raises(InputError, match="is pinned"):
        fetch(tmp_path, (MODEL, REVISION, "0" * 64), hub)


def test_other_weights_than_pinned_leave_nothing_behind(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"weights have SHA-256 {weights_sha256(bert)}"):
        fetch(tmp_path, (MODEL, REVISION, "0" * 64), Hub(bert))
    assert not list(tmp_path.iterdir())


def test_a_fetch_that_breaks_off_leaves_nothing_behind(bert: Path, tmp_path: Path) -> None:
    def broken(model: str, revision: str, folder: Path) -> None:
        shutil.copytree(bert, folder)
        raise TransientError("the hub is down; run it again")

    with pytest.raises(TransientError):
        fetch(tmp_path, (MODEL, REVISION, weights_sha256(bert)), broken)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("revision", ["main", "v1.0", "c9745ed", REVISION.upper()])
def test_what_may_move_is_no_revision(revision: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pin one, 40 hex digits"):
        fetch(tmp_path, (MODEL, revision, "0" * 64))


@pytest.mark.parametrize("model", ["", "../etc", "a/b/c", "/models/x", "a b", "a/.."])
def test_what_is_no_hub_id_never_becomes_a_path(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no hub id"):
        fetch(tmp_path, (model, REVISION, "0" * 64))


def test_without_its_settings_it_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("THETA_RAY_MODEL", raising=False)
    with pytest.raises(SystemExit) as stop:
        main(["/models"])
    assert stop.value.code == 2
    assert "THETA_RAY_MODEL_REVISION" in capsys.readouterr().err
