"""The parts of README.md and of pages in docs/ that code decides, between `<!-- name -->` and `<!-- /name -->`.

python -m tests.readme_tables    # writes them and says which files have changed; a test fails while one is stale
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from tests import settings_page
from theta_ray.errors import EXIT_CODES
from theta_ray.runtime import build_parser
from theta_ray.schemas import (
    ASSIGNMENTS,
    CORPUS,
    DAMAGED,
    EMBEDDING_MAPS,
    FILTERED,
    K_CURVE,
    KEYS,
    PAIRS,
    QUARANTINE,
    STORE_TYPES,
    TEXT_INDEX,
    TOPIC_COUNTS,
    TOPIC_QUALITY,
    TOPIC_TREE,
    TOPICS,
    centroids_schema,
    embeddings_schema,
)
from theta_ray.schemas_network import NETWORK_TABLES

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = {
    "recipes": "what to compute; each file opens with the command that runs it",
    "cluster_configs": "where to compute it: actors, GPUs, batches, retries",
    "jobs": "one thin file per stage",
    "theta_ray": "the library; only the stage of a job, runtime.py, tasks.py and ray_errors.py import Ray",
    "benchmarks": "side by side with other systems; each prints one table",
    "tests": "unit property equivalence ray chaos s3",
    "docs": "design decisions with their evidence",
}


def options() -> str:
    """The options of every job."""
    rows = []
    for action in build_parser()._actions:
        if action.option_strings[0].startswith("--"):
            value = f" {action.metavar}" if action.metavar else ""
            rows.append(f"| `{action.option_strings[0]}{value}` | {action.help} |")
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows])


def tables() -> str:
    """Tables with their keys and columns; a question mark says that a value may be missing."""
    schemas = {
        "corpus": CORPUS,
        "embeddings": embeddings_schema(1, "int8"),
        "text_index": TEXT_INDEX,
        "pairs": PAIRS,
        "centroids": centroids_schema(1),
        "assignments": ASSIGNMENTS,
        "topics": TOPICS,
        "topic_counts": TOPIC_COUNTS,
        "topic_quality": TOPIC_QUALITY,
        "topic_tree": TOPIC_TREE,
        "k_curve": K_CURVE,
        "embedding_maps": EMBEDDING_MAPS,
        **NETWORK_TABLES,
        "quarantine": QUARANTINE,
    }
    rows = [
        f"| `{name}` | {f'`{KEYS[name]}`' if KEYS[name] else ''} | {', '.join(_column(field) for field in schema)} |"
        for name, schema in schemas.items()
    ]
    return "\n".join(["| table | key | columns (`?`: may be missing) |", "| --- | --- | --- |", *rows])


def _column(field: pa.Field) -> str:
    kind = field.type
    if field.name == "centroid":
        text = "fixed_size_list\\<float32>[dim]"
    elif pa.types.is_fixed_size_list(kind):
        whole = [name for name in STORE_TYPES if name != "binary"]
        text = f"fixed_size_list\\<{' or '.join(whole)}>[dim], for binary \\<{STORE_TYPES['binary']}>[dim / 8]"
    elif pa.types.is_list(kind):
        inner = str(kind.value_type).replace("<", "\\<")
        text = f"list\\<{inner}>"
    else:
        text = str(kind).replace("us, tz=UTC", "us, UTC") + (" (int8 only)" if field.name == "scale" else "")
    return f"`{field.name}` {text}{'?' if field.nullable else ''}"


def reasons() -> str:
    """Why a row may be turned away."""
    rows = [f"| `{reason}` | damaged | {meaning} |" for reason, meaning in DAMAGED.items()]
    rows += [f"| `{reason}` | filtered | {meaning} |" for reason, meaning in FILTERED.items()]
    return "\n".join(["| reason | kind | meaning |", "| --- | --- | --- |", *rows])


def exit_codes() -> str:
    """How a job can end."""
    rows = [f"| {code} | {meaning} |" for code, meaning in sorted(EXIT_CODES.items())]
    return "\n".join(["| exit code | meaning |", "| ---: | --- |", *rows])


def jobs() -> str:
    """The jobs, each with the first line of its docstring."""
    rows = [f"| `{' '.join(line.split()).replace('.py ', '.py` | ', 1)} |" for line in _files(REPOSITORY / "jobs", 0)]
    return "\n".join(["| job | what it does |", "| --- | --- |", *rows])


def tree() -> str:
    """Folders and files, each with the first line of its docstring."""
    lines = ["```"]
    for folder, meaning in FOLDERS.items():
        lines.append(f"{folder + '/':<26}{meaning}")
        if folder in ("jobs", "theta_ray"):
            lines += _files(REPOSITORY / folder, 1)
    return "\n".join([*lines, "```"])


def _files(folder: Path, depth: int) -> Iterator[str]:
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            yield f"{'  ' * depth + file.name:<26}{docstring.split(chr(10))[0].rstrip('.')}"
    for below in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield f"{'  ' * depth}{below.name}/"
        yield from _files(below, depth + 1)


PAGES = {
    "README.md": {"jobs": jobs},
    "docs/data.md": {"reasons": reasons, "tables": tables},
    "docs/settings.md": {
        "options": options,
        "exit_codes": exit_codes,
        "recipe": settings_page.recipe,
        "resources": settings_page.resources,
    },
    "docs/tree.md": {"tree": tree},
}


def render(page: str, text: str) -> str:
    """The `text` of a page with every block of it as the code has it.

    Raises:
        ValueError: a block is not there, or not exactly once.
    """
    for name, make in PAGES[page].items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        if len(re.findall(pattern, text, flags=re.DOTALL)) != 1:
            raise ValueError(f"{page} needs <!-- {name} --> and <!-- /{name} --> once")
        block = make()
        text = re.sub(pattern, lambda found, block=block: f"{found[1]}{block}\n{found[2]}", text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for page in PAGES:
        path = REPOSITORY / page
        before = path.read_text(encoding="utf-8")
        if (after := render(page, before)) != before:
            path.write_text(after, encoding="utf-8")
            print(f"{page} is written")  # noqa: T201
