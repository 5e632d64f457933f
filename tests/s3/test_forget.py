"""Deletions in a bucket: deleted documents leave every object, and the search for them sees all of these."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import S3
from tests.forgotten import DAYS, id_of, records_of, rows_of, small_config, write_days
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import StageError
from theta_ray.nightly import forget

pytestmark = pytest.mark.s3


def test_deleted_documents_leave_a_bucket(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)
    write_days(tmp_path, [records_of(0, 64)])
    (tmp_path / "ids.txt").write_text(f"{id_of(0, 0)}\n{id_of(0, 9)}\n")
    there = {"root": s3.root("forget")}
    asking = small_config(tmp_path, ids=str(tmp_path / "ids.txt")).model_copy(update=there)
    verifying = small_config(tmp_path, ids=str(tmp_path / "ids.txt"), verify=True).model_copy(update=there)
    prepare.run(asking, DAYS[0])
    with pytest.raises(StageError, match="run jobs/forget.py"):
        forget.run(verifying, DAYS[0])
    card = forget.run(asking, DAYS[0])
    assert (card.status, card.figures["rows_of_corpus"]) == ("committed", 2)
    assert rows_of(partition_of(asking, DAYS[0])).num_rows == 62
    assert forget.run(verifying, DAYS[0]).status == "verified"
    assert forget.run(asking, DAYS[0]).status == "nothing to do"
