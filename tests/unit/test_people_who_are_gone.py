"""Names that say that an account is gone."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import documents, read, write_jsonl
from theta_ray.config import COLUMN_READERS, Columns


@pytest.mark.parametrize("reader", sorted(COLUMN_READERS))
def test_who_is_gone_or_blank_is_nobody_in_every_format(tmp_path, reader):
    names = ["ann", "[deleted]", " [removed] ", "  ", "", "deleted", "[deleted by user]"]
    rows = [{"id": f"d{i}", "text": "a text", "who": name, "whom": name} for i, name in enumerate(names)]
    path = tmp_path / f"rows.{reader}"
    if reader == "jsonl":
        write_jsonl(path, rows)
    elif reader == "csv":
        path.write_text("\n".join(["id,text,who,whom", *(",".join(row.values()) for row in rows)]))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = documents(read(path, reader, Columns(text="text", doc_id="id", author_id="who", parent_author_id="whom")))
    known = ["ann", None, None, None, None, "deleted", None]
    assert [document.author for document in found] == [document.parent_author for document in found] == known
