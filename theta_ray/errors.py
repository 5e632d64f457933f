"""Errors a user can meet, each with the exit code of the job that stops on it.

ThetaError              1   anything below
|-- ConfigError         2   usage, recipe or resources file
|-- InputError          3   input, model or permission missing, before work starts
|   |-- MissingInputError 3 an input has no file for a day
|   `-- SchemaError     3   a table or file does not have the columns it must have
|-- StageError          4   the stage ran and a check failed: counts, parity, quarantine over budget
|-- ConflictError       5   another run holds the lease, or committed something else
|-- TransientError      6   a store or network kept failing after all retries, or others hold the cluster
|   `-- WorkerLostError 6   a task or actor died more often than its retries; a rerun goes on
|-- PreemptedError      7   SIGTERM: the machine is taken away; a rerun goes on
`-- CostLimitError      8   resources.max_gpu_hours is used up; a rerun goes on

Every message is one line of three parts: what is wrong, where, what to do next.
Anything that is not a ThetaError is a bug: the job prints its traceback and exits with 70.
"""

from __future__ import annotations

INTERRUPTED_EXIT_CODE = 130
BUG_EXIT_CODE = 70
EXIT_CODES = {
    0: "done, or nothing to do",
    2: "usage, recipe or resources file",
    3: "input, model, permission or room is missing, or a table has other columns",
    4: "a check failed: counts, parity, damage over budget, collapsed embeddings, other bytes than before",
    5: "another run holds the lease or has committed something else",
    6: "a store kept failing, or workers were lost or found no room, after all retries; a rerun goes on",
    7: "preempted by SIGTERM; a rerun goes on",
    8: "max_gpu_hours is used up; a rerun goes on",
    70: "a bug, with its traceback",
    130: "stopped from the keyboard; a rerun goes on",
}


class ThetaError(Exception):
    """Parent of every error that is the user's to mend."""

    exit_code = 1


class ConfigError(ThetaError):
    """A recipe, resources file or command line that cannot be run as written."""

    exit_code = 2


class InputError(ThetaError):
    """Something the job needs is not there or may not be read."""

    exit_code = 3


class MissingInputError(InputError):
    """A path, glob or folder of the recipe has no file for the day."""


class SchemaError(InputError):
    """A table or file lacks a column, or has it with another type."""


class StageError(ThetaError):
    """A stage ran to its end and one of its own checks failed."""

    exit_code = 4


class ConflictError(ThetaError):
    """Another run holds the lease of a partition, has taken it over, or has committed other content."""

    exit_code = 5


class TransientError(ThetaError):
    """A store or the network kept failing after all retries, or others held the cluster for too long."""

    exit_code = 6


class WorkerLostError(TransientError):
    """A task or actor was lost more often than the resources file allows."""


class PreemptedError(ThetaError):
    """The process was told to stop (SIGTERM), as a spot machine is before it is taken away."""

    exit_code = 7


class CostLimitError(ThetaError):
    """The run has used as many GPU-hours as the resources file allows."""

    exit_code = 8
