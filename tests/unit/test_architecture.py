"""The shape of the project: what may import what, how long things may be, and that its words agree."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import readme_tables
from tests.conftest import REPOSITORY
from theta_ray import config, config_finetune, schemas

LIBRARY = REPOSITORY / "theta_ray"
ORDER = ["corpus", "encoder", "training", "topics", "network", "report", "nightly", "console"]
RAY_FILES = {LIBRARY / name for name in ("runtime.py", "ray_errors.py", "tasks.py", "encoder/map_shards.py")}
RAY_FILES |= {LIBRARY / "training" / "worker_group.py", LIBRARY / "topics" / "row_actors.py"}
RAY_FILES |= {LIBRARY / "network" / "graph_actors.py", LIBRARY / "console" / "job_client.py", LIBRARY / "metrics.py"}
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(LIBRARY.rglob("*.py"))}
JOBS = sorted((REPOSITORY / "jobs").glob("*.py"))
PYTHON_FILES = [path for top in ("theta_ray", "jobs", "tests") for path in sorted((REPOSITORY / top).rglob("*.py"))]


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _imported(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Import statements at any depth, with the full dotted names that they bring in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def _stage_files() -> set[Path]:
    """The module that each job hands to main."""
    names = {name for job in JOBS for _, name in _imported(ast.parse(job.read_text())) if name.startswith("theta_ray.")}
    names -= {"theta_ray.runtime.main"}
    return {REPOSITORY / f"{name.replace('.', '/')}.py" for name in names}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_from_corpus_towards_report_only(path: Path) -> None:
    folder = path.relative_to(LIBRARY).parts[0]
    rank = ORDER.index(folder) if folder in ORDER else -1
    imported = {name.split(".")[1] for _, name in _imported(MODULES[path]) if name.startswith("theta_ray.")}
    later = imported & set(ORDER[rank + 1 :])
    assert not later, f"{_name(path)} imports theta_ray.{', '.join(later)}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_ray_is_imported_inside_functions_of_stages_and_a_few_modules_only(path: Path) -> None:
    ray_imports = [node for node, name in _imported(MODULES[path]) if name.split(".")[0] == "ray"]
    functions = [n for n in ast.walk(MODULES[path]) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    assert all(id(node) in inside for node in ray_imports)
    assert not ray_imports or path in _stage_files() | RAY_FILES


def test_every_job_has_its_stage_of_the_same_name() -> None:
    assert {path.stem for path in _stage_files()} == {job.stem for job in JOBS}
    assert all(path.is_file() for path in _stage_files())


@pytest.mark.parametrize("path", PYTHON_FILES, ids=_name)
def test_files_have_300_lines_and_functions_60_at_most(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 300
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


@pytest.mark.parametrize("job", JOBS, ids=_name)
def test_a_job_is_thin_and_its_docstring_says_how_to_submit_it(job: Path) -> None:
    source = job.read_text()
    assert len(source.splitlines()) <= 15
    assert f"ray job submit --working-dir . -- python jobs/{job.name} " in source


@pytest.mark.parametrize("job", JOBS, ids=_name)
def test_no_job_hides_an_importable_module(job: Path) -> None:
    # jobs/ comes first on the path of a running job: a jobs/queue.py would end every one of them
    assert job.stem not in sys.stdlib_module_names
    assert importlib.util.find_spec(job.stem) is None


def _choices(annotation: object) -> set[str]:
    return set(typing.get_args(annotation))


def test_choices_of_a_recipe_are_the_keys_of_their_registries() -> None:
    from theta_ray.corpus.readers import READERS
    from theta_ray.corpus.text import HASHTAGS, NORMALIZERS
    from theta_ray.encoder.pooling import POOLINGS
    from theta_ray.training.distillation import IMITATED
    from theta_ray.training.objective import LOSSES, LOSSES_OF_TEXTS

    assert _choices(config.Reader) == set(READERS)
    assert _choices(config.Normalize) == set(NORMALIZERS)
    assert _choices(config.Hashtags) == set(HASHTAGS)
    assert _choices(config.Pooling) == set(POOLINGS)
    assert _choices(config.Embed.model_fields["store_dtype"].annotation) == set(schemas.STORE_TYPES)
    assert _choices(config_finetune.LossName) == {*LOSSES, *LOSSES_OF_TEXTS}
    assert _choices(config_finetune.Imitated) == set(IMITATED)


def test_every_reason_in_the_code_is_known_and_every_known_reason_is_used() -> None:
    sources = [tree for path, tree in MODULES.items() if path.name not in ("schemas.py", "sample.py")]
    positions = {name: place for tree in sources for name, place in _takers_of_reasons(tree)}
    constants = {n.value for tree in sources for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    given = {reason for tree in sources for reason in _given_reasons(tree, positions)}
    known = {*schemas.DAMAGED, *schemas.FILTERED}
    assert given <= known
    assert known <= constants
    assert len(given) > len(known) / 2  # the search above still finds them


def _takers_of_reasons(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Functions with an argument, and classes with a field or argument, named `reason`; and its place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
            if "reason" in fields:
                yield node.name, fields.index("reason")
            for function in node.body:
                arguments = [a.arg for a in function.args.args] if isinstance(function, ast.FunctionDef) else []
                if "reason" in arguments:
                    name = node.name if function.name == "__init__" else function.name
                    yield name, arguments.index("reason") - (arguments[0] == "self")
        elif isinstance(node, ast.FunctionDef):
            names = [a.arg for a in node.args.args]
            if "reason" in names and names[0] != "self":
                yield node.name, names.index("reason")


def _given_reasons(tree: ast.AST, positions: dict[str, int]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            arguments = node.args[positions[name] : positions[name] + 1] if name in positions else []
            for argument in arguments:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value)


def _tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True)
    return [REPOSITORY / name for name in listing.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def test_nothing_ends_processes_that_it_did_not_start() -> None:
    # each of them ends other people's processes on the same machine
    forbidden = re.compile("ray stop|pkill|killall")
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in _tracked_files()}
    found = [_name(path) for path, text in texts.items() if forbidden.search(text) and path != Path(__file__)]
    assert found == []


@pytest.mark.parametrize("page", readme_tables.PAGES)
def test_a_page_says_what_the_code_does(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert text == readme_tables.render(page, text), f"{page} is stale: python -m tests.readme_tables"


def test_the_tree_lists_every_file_of_the_library_and_the_jobs() -> None:
    tree = readme_tables.tree()
    for path in [*MODULES, *JOBS]:
        assert f"{path.name} " in tree or path.name == "__init__.py"
        assert f"{path.parent.name}/" in tree


def test_a_page_without_its_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="docs/settings.md needs <!-- options -->"):
        readme_tables.render("docs/settings.md", "# Settings\n")


def test_the_lock_pins_everything_that_the_project_asks_for() -> None:
    lines = [line for line in (REPOSITORY / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    locked = {_canonical(line.split("==")[0]) for line in lines}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {_canonical(re.split(r"[\[<>=; ]", text)[0]) for text in project["dependencies"] + extras["test"]}
    assert asked <= locked


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_git_ignores_is_not_uploaded_with_a_job() -> None:
    ignored = set((REPOSITORY / ".gitignore").read_text().split("\n"))
    assert ignored <= set((REPOSITORY / ".rayignore").read_text().split("\n"))
