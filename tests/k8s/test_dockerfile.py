"""The Dockerfile by its text, since no image is built here: pinned, locked, non-root, nothing installed at run time."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "Dockerfile").read_text()
LINES = [
    line.strip() for line in re.sub(r"\\\n\s*", " ", TEXT).splitlines() if line.strip() and not line.startswith("#")
]
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in LINES]


def _stages() -> dict[str, list[tuple[str, ...]]]:
    stages: dict[str, list[tuple[str, ...]]] = {"": []}
    for instruction in INSTRUCTIONS:
        if instruction[0] == "FROM":
            stages[instruction[1].split(" AS ")[1]] = []
        stages[list(stages)[-1]].append(instruction)
    return stages


def test_every_stage_is_of_the_pinned_base_or_of_another_stage() -> None:
    stages = _stages()
    pinned = dict(value.split("=", 1) for name, value in stages[""] if name == "ARG")
    assert re.fullmatch(r"python:3\.1[1-3]-slim-\w+@sha256:[0-9a-f]{64}", pinned["PYTHON_IMAGE"])
    for (_, line), *_ in [each for name, each in stages.items() if name]:
        source = line.split(" AS ")[0]
        assert source in ("${PYTHON_IMAGE}", *stages)


def test_both_targets_end_as_a_user_without_rights_and_install_nothing() -> None:
    stages = _stages()
    for target in ("cpu", "gpu"):
        users = [value for name, value in stages[target] if name == "USER"]
        assert users == ["1000:1000"]
        assert stages[target][-2] == ("USER", "1000:1000")
        for stage in (target, "base"):
            assert not re.search(r"\b(pip|apt|curl|wget)\b", " ".join(value for _, value in stages[stage]))


def test_packages_are_those_of_the_lock_and_without_a_cache() -> None:
    installs = re.findall(r"pip install (.*)", "\n".join(line for line in LINES))
    assert len(installs) == 2
    assert all("-c requirements.lock" in line for line in installs)
    assert ("ENV", "PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1") in INSTRUCTIONS
    assert not any(name == "ADD" for name, _ in INSTRUCTIONS), "COPY fetches nothing"


def test_no_secret_is_an_argument_or_a_variable() -> None:
    for name, value in INSTRUCTIONS:
        assert not (name in ("ARG", "ENV") and re.search(r"TOKEN|SECRET|PASSWORD|_KEY", value))


def test_labels_name_revision_licence_and_ray() -> None:
    (labels,) = [value for name, value in INSTRUCTIONS if name == "LABEL"]
    for label in ("image.title", "image.revision", "image.licenses", "io.ray.version"):
        assert label in labels


def test_what_is_copied_is_there_and_let_through() -> None:
    let_through = {
        line[1:].strip("/") for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for name, value in INSTRUCTIONS:
        if name == "COPY" and "--from" not in value:
            for source in [part for part in value.split()[:-1] if not part.startswith("--")]:
                assert (REPOSITORY / source).exists()
                assert source in let_through
