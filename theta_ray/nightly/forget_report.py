"""What a deletion has found and done, in objects that name nobody.

    <root>/deletions/<digest of the ids>/00000001.found.json   before anything was changed
                                        /00000001.json         at the end
                                        /00000002.json         later, where a backup or another recipe held them again

A run that was killed is taken up where a finding has no report yet: its numbers are those of before the first change.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from theta_ray.objects import create, join, list_names, read_bytes
from theta_ray.store import canonical_json

DELETIONS, FOUND = "deletions", ".found.json"


@dataclass(frozen=True)
class Finding:
    """What was there before the first change."""

    num_requested: int
    num_found: int
    """Of the requested ids, those that any object held."""
    days: tuple[str, ...]
    rows: dict[str, int]
    """Rows of deleted documents in the newest versions, by table."""
    references: dict[str, int]
    """Other values there that named one, or an author, by table."""
    num_authors_requested: int = 0
    num_authors_found: int = 0
    """Of these, those whom any object named."""
    num_documents_of_authors: int = 0
    """Documents that forgotten authors had written."""

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def figures(self) -> dict[str, Any]:
        """For the run card."""
        return {
            "requested": self.num_requested,
            "found": self.num_found,
            **({"authors_requested": self.num_authors_requested} if self.num_authors_requested else {}),
            **({"authors_found": self.num_authors_found} if self.num_authors_requested else {}),
            **({"documents_of_authors": self.num_documents_of_authors} if self.num_authors_requested else {}),
            "days": len(self.days),
            **{f"rows_of_{table}": count for table, count in sorted(self.rows.items()) if count},
            **{f"references_of_{table}": count for table, count in sorted(self.references.items()) if count},
        }


def find_report(root: str, request: str) -> tuple[int, Finding | None]:
    """The number of the next report of these ids, and the finding of a run that has not written it."""
    names = list_names(join(root, DELETIONS, request))
    number = sum(name.endswith(".json") and not name.endswith(FOUND) for name in names) + 1
    if f"{number:08d}{FOUND}" not in names:
        return number, None
    facts = json.loads(read_bytes(join(root, DELETIONS, request, f"{number:08d}{FOUND}")))
    return number, Finding(**{**facts, "days": tuple(facts["days"])})


def save_finding(root: str, request: str, number: int, finding: Finding) -> None:
    """Create it; another run's stays."""
    create(join(root, DELETIONS, request, f"{number:08d}{FOUND}"), canonical_json(finding.facts()))


def save_report(root: str, request: str, number: int, facts: dict[str, Any]) -> None:
    """Create it; another run's stays."""
    create(join(root, DELETIONS, request, f"{number:08d}.json"), canonical_json(facts))
