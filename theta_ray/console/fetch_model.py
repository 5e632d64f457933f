"""One revision of a hub model comes into a folder that Ray's pods mount, checked and whole or not at all.

    python -m theta_ray.console.fetch_model /models      (k8s/base/models/fetch.yaml)

THETA_RAY_MODEL is a hub id, THETA_RAY_MODEL_REVISION a commit of it, THETA_RAY_MODEL_SHA256 the recipe's
`weights_sha256`. The model ends up in `/models/<hub id with -- for />`, the name that a recipe gives.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from theta_ray.encoder.model_files import check_folder
from theta_ray.encoder.source import weights_sha256
from theta_ray.errors import ConfigError, InputError, TransientError
from theta_ray.runtime import leave

logger = logging.getLogger(__name__)
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.codes")
Fetch = Callable[[str, str, Path], None]


def fetch_from_hub(model: str, revision: str, folder: Path) -> None:
    """The files of a model that are data, never its code, from the hub.

    Raises:
        TransientError: the hub does not give them.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        snapshot_download(model, revision=revision, local_dir=folder, allow_patterns=list(FILES))
    except RepositoryNotFoundError as error:
        raise InputError(f"{model}: is not on the hub, or needs a token; check THETA_RAY_MODEL") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise TransientError(f"{model}@{revision}: could not be fetched ({error}); run it again") from error


def fetch(target: Path, pinned: tuple[str, str, str], fetch_files: Fetch = fetch_from_hub) -> Path:
    """The folder of a model, fetched where it is not there.

    Args:
        target: folder of all models.
        pinned: hub id, commit and SHA-256 of the weights.
        fetch_files: brings the files into a folder.

    Raises:
        ConfigError: the revision is a branch or tag, which may move.
        InputError: the weights are others than pinned, or no safetensors.
    """
    model, revision, sha256 = pinned
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) or ".." in model:
        raise ConfigError(f"THETA_RAY_MODEL {model!r}: is no hub id; write it like organisation/name")
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ConfigError(f"THETA_RAY_MODEL_REVISION {revision!r}: is no commit; pin one, 40 hex digits")
    folder = target / model.replace("/", "--")
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target) as temporary:
            fetched = Path(temporary, "model")
            fetch_files(model, revision, fetched)
            shutil.rmtree(fetched / ".cache", ignore_errors=True)
            _check(fetched, model, sha256)
            fetched.rename(folder)
        logger.info("model %s: fetched into %s", model, folder)
    else:
        _check(folder, model, sha256)
        logger.info("model %s: is in %s", model, folder)
    return folder


def _check(folder: Path, model: str, sha256: str) -> None:
    check_folder(folder, model)
    found = weights_sha256(folder)
    if found != sha256:
        raise InputError(
            f"{folder}: weights have SHA-256 {found}, {sha256} is pinned; remove the folder and check the revision"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """`FOLDER`, and the model in the environment."""
    given = list(sys.argv[1:] if argv is None else argv)

    def work() -> int:
        try:
            (target,) = given
            model, revision, sha256 = (os.environ[f"THETA_RAY_MODEL{part}"] for part in ("", "_REVISION", "_SHA256"))
        except (KeyError, ValueError) as error:
            raise ConfigError(
                "usage: python -m theta_ray.console.fetch_model FOLDER, with THETA_RAY_MODEL, THETA_RAY_MODEL_REVISION "
                "and THETA_RAY_MODEL_SHA256"
            ) from error
        fetch(Path(target), (model, revision, sha256))
        return 0

    leave("fetch_model", work)


if __name__ == "__main__":
    main()
