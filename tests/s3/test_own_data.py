"""The README's third step: the sample recipe with its `# yours` lines changed, on a CSV file in a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, S3
from tests.small_jobs import DAY, make_texts, read_table
from theta_ray.encoder import embed
from theta_ray.objects import open_filesystem
from theta_ray.recipe_files import load_config

pytestmark = pytest.mark.s3
YOURS = {
    "- reader:": "    - reader: csv",
    "path:": "      path: {root}-raw/*.csv",
    "columns:": "      columns: {{doc_id: id, text: [title, body], author_id: user, created_at: posted}}",
    "source:": "      source: my-forum",
    "authors:": "  authors: pseudonym",
}


@pytest.mark.usefixtures("minilm")
def test_five_changed_lines_read_a_users_csv_from_a_bucket(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = s3.root("mine")
    monkeypatch.setenv("THETA_RAY_AUTHOR_KEY", "canary-key-of-this-test")
    rows = [f'1844674407370955{i:04d},"Title, {i}","{text}",user{i % 3},2026-01-0{1 + i % 9}' for i, text in _texts()]
    fs, path = open_filesystem(f"{root}-raw/posts.csv")
    fs.pipe_file(path, "\n".join(["id,title,body,user,posted", *rows]).encode())
    sample = (REPOSITORY / "recipes" / "sample.yaml").read_text().splitlines()
    mine = [_changed(line, root) for line in sample]
    changed = [old for old, new in zip(sample, mine, strict=True) if old != new]
    (tmp_path / "mine.yaml").write_text("\n".join(mine))
    (tmp_path / "local.yaml").write_text("executor: local\n")

    config = load_config(str(tmp_path / "mine.yaml"), resources_path=str(tmp_path / "local.yaml"), root=root)
    card = embed.run(config, DAY)

    assert len(changed) == 5
    assert changed == [line for line in sample if "# yours" in line and not line.startswith("#")]
    assert card.figures["embedded"] == len(rows)
    corpus = read_table(root, "corpus")
    assert corpus.column("doc_id").to_pylist()[7] == "18446744073709550007"
    assert len(set(corpus.column("author_id").to_pylist())) == 3
    written = fs.find(open_filesystem(root)[1])
    assert not [name for name in written if b"canary" in fs.cat_file(name) or b"user1" in fs.cat_file(name)]


def _texts() -> list[tuple[int, str]]:
    return list(enumerate(make_texts(20, repeat_every=0)))


def _changed(line: str, root: str) -> str:
    for start, own in YOURS.items():
        if line.strip().startswith(start):
            return own.format(root=root)
    return line
