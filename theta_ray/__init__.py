"""Batch embeddings, topics and networks of social text on Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theta_ray.table import list_files, open_table, write_file_list

__all__ = ["list_files", "open_table", "write_file_list"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The functions for readers of tables, loaded when they are asked for: jobs start without Arrow."""
    if name not in __all__:
        raise AttributeError(f"module theta_ray has no attribute {name}")
    from theta_ray import table

    return getattr(table, name)
