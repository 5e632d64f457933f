"""The command `theta-ray`: show, diff, runs, doctor, submit; exit codes and one-line errors are those of the jobs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from theta_ray.errors import ConfigError
from theta_ray.logs import is_submitted
from theta_ray.runtime import add_options, leave, read_options, resolve_root
from theta_ray.terminal import escaped_lines

ADDRESS = "http://127.0.0.1:8265"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    # what follows `--` is the job's, whose options have the names of ours
    cut = given.index("--") if "--" in given else len(given)
    options = build_parser().parse_args(given[:cut])
    options.job_options = given[cut + 1 :]
    leave(f"theta-ray {options.command}", lambda: COMMANDS[options.command](options))


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="theta-ray", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, meaning: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=meaning, description=meaning, allow_abbrev=False)

    show = add("show", "a night's documents, topics and networks, as the report has them")
    add_options(show)
    show.add_argument("--table", metavar="NAME", help="one table, whole")
    _add_json(show)
    diff = add("diff", "what changed between two nights")
    add_options(diff)
    diff.add_argument("nights", nargs=2, metavar="DAY", help="2026-01-31, or v7 for publication 7")
    diff.add_argument("--table", metavar="NAME", help="one table, whole")
    _add_json(diff)
    doctor = add("doctor", "in under 20 s, whether a job would find all that it needs: store, model, Ray, room, clock")
    add_options(doctor)
    _add_json(doctor)
    _add_submit(add("submit", "send a job to a cluster, follow it, and leave with its exit code"))
    _add_runs(add("runs", "the runs below a root: list, show one, or compare two"))
    return parser


def _add_submit(submit: argparse.ArgumentParser) -> None:
    submit.usage = "theta-ray submit [options] jobs/X.py -- --config FILE --root URI ..."
    submit.add_argument("job", metavar="jobs/X.py", help="the job; its own options follow after --")
    submit.add_argument("--address", default=ADDRESS, metavar="URL", help=f"of Ray's dashboard; default: {ADDRESS}")
    submit.add_argument("--working-dir", default=".", metavar="FOLDER", help="what the cluster gets; default: this one")
    submit.add_argument("--insecure", action="store_true", help="send to another machine without a token")
    submit.add_argument("--skip-doctor", action="store_true", help="do not run theta-ray doctor before the job")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action=argparse.BooleanOptionalAction,
        help="one line of JSON; default: where the output is no terminal. --no-json: tables there too, as for less",
    )


def _add_runs(runs: argparse.ArgumentParser) -> None:
    kinds = runs.add_subparsers(dest="kind", required=True, metavar="list|show|diff")
    for name, count, meaning in (
        ("list", 0, "the newest runs"),
        ("show", 1, "the run card of one"),
        ("diff", 2, "where two of them differ"),
    ):
        kind = kinds.add_parser(name, help=meaning, description=meaning, allow_abbrev=False)
        kind.add_argument("--root", metavar="URI", help="absolute folder or URI of all tables; default: ./results")
        if count:
            kind.add_argument("runs", nargs=count, metavar="RUN", help="a name that runs list gives")
        _add_json(kind)
        if name == "list":
            kind.add_argument("--limit", type=int, default=20, metavar="N", help="so many at most; default: 20")


def _as_json(options: argparse.Namespace) -> bool:
    return bool(options.json) if options.json is not None else not sys.stdout.isatty()


def _show(options: argparse.Namespace) -> int:
    from theta_ray.console.show import show

    config, day = read_options(options)
    show(config, day if options.date else None, only=options.table, as_json=_as_json(options))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from theta_ray.console.days import find_night
    from theta_ray.console.diff import make_diff
    from theta_ray.console.show import write_json, write_tables

    config, _ = read_options(options)
    before, after = (find_night(config, asked) for asked in options.nights)
    tables = make_diff(before, after, options.table)
    if _as_json(options):
        write_json({"before": before.day, "after": after.day}, tables)
    else:
        title = f"{before.title}  to  {after.title}"
        write_tables(title if tables else f"{title}\n\nno difference", tables, whole=options.table is not None)
    return 0


def _runs(options: argparse.Namespace) -> int:
    from theta_ray.console import runs
    from theta_ray.console.show import write_json, write_tables

    root = resolve_root(options.root)
    if options.kind == "list":
        if options.limit < 1:
            raise ConfigError(f"--limit {options.limit}: must be 1 or more")
        tables, facts = [runs.runs_table(runs.list_runs(root, options.limit))], {"root": root}
    elif options.kind == "show":
        card = runs.find_run(root, options.runs[0]).card
        sys.stdout.write(card.json_line() if _as_json(options) else escaped_lines(card.page()))
        return 0
    else:
        tables = runs.diff_runs(*(runs.find_run(root, name) for name in options.runs))
        facts = dict(zip(("before", "after"), options.runs, strict=True))
    if _as_json(options):
        write_json(facts, tables)
    else:
        write_tables("  ".join(facts.values()), tables, whole=True)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from theta_ray.console.doctor import doctor

    return doctor(options, as_json=bool(options.json) or is_submitted())


def _submit(options: argparse.Namespace) -> int:
    from theta_ray.console.submit import submit

    return submit(options, options.job_options)


COMMANDS = {"submit": _submit, "show": _show, "diff": _diff, "doctor": _doctor, "runs": _runs}
