"""Processes of stages that tests kill: each is a fork of one process, which has imported everything."""

from __future__ import annotations

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.chaos.imported"])  # the server is one for all tests of a session
