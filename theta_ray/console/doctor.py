"""`theta-ray doctor`: in under 20 seconds and without a GPU, whether a job would find all that it needs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial

from theta_ray.console.check_machine import check_key, check_ray, check_room
from theta_ray.console.check_store import check_store
from theta_ray.console.checks import Check, Finding, exit_code_of, fail, run_checks
from theta_ray.errors import ConfigError
from theta_ray.runtime import leave_at_once, read_options, resolve_root

OPTIONAL = ("estimate",)
logger = logging.getLogger(__name__)


def examine(options: argparse.Namespace) -> tuple[list[Finding], bool]:
    """All findings for a command line, and whether every check was done in time."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # a model that would have to be fetched is one that is not there
    checks: dict[str, Check] = {"room": check_room}
    try:
        config, day = read_options(options)
    except ConfigError as error:
        checks |= {"store": _store_of(options)}
        found, in_time = run_checks(checks)
        return [*_told(error), *found], in_time
    from theta_ray.console import check_recipe

    joins = "RAY_ADDRESS" in os.environ
    checks |= {
        "recipe": partial(check_recipe.check_places, config, joins=joins),
        "ray": partial(check_ray, config),
        "author key": partial(check_key, config),
        "store": partial(check_store, config.root),
        "input": partial(check_recipe.check_inputs, config, day, asked=options.date is not None),
        "model": partial(check_recipe.check_model, config),
        "estimate": partial(check_recipe.check_cost, config, day),
    }
    return run_checks(checks, optional=OPTIONAL)


def _store_of(options: argparse.Namespace) -> Check:
    return lambda: check_store(resolve_root(options.root))


def _told(error: ConfigError) -> list[Finding]:
    """One finding for each line of a mistaken recipe."""
    lines = [line.partition("; ") for line in str(error).splitlines()]
    return [fail("recipe", said, advice or "mend it", ConfigError.exit_code) for said, _, advice in lines]


def doctor(options: argparse.Namespace, *, as_json: bool) -> int:
    """Write the findings; 0, or the exit code that a job would stop with."""
    findings, in_time = examine(options)
    write_findings(findings, as_json=as_json)
    code = exit_code_of(findings)
    if not in_time:
        # a thread in a dead connection, or in a library that loads, must not hold or break the end of the process
        leave_at_once("theta-ray doctor", code)
    return code


def write_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """One line each, or all in one line of JSON, after which those that failed are lines of the log as well."""
    if as_json:
        sys.stdout.write(json.dumps({"checks": [each.to_json() for each in findings]}) + "\n")
        sys.stdout.flush()
        for each in findings:
            if each.outcome == "fail":
                logger.error("%s", " ".join(each.line().split()))
    else:
        sys.stdout.write("".join(f"{each.line()}\n" for each in findings))
