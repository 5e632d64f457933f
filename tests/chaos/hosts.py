"""Hosts of a small network on this machine: namespaces with an address each, on one bridge. Linux, as root.

A host has its own interfaces, its own loopback, its own /dev/shm and its own files below one folder; the rest of the
disk is shared, as an image and a read-only volume of models would be. What calls is a host of that network as well.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS_TO_END = 20.0
# Own files at the place that all share, and a /dev/shm of its own: `ip netns exec` gives mounts of its own.
OWN_FILES = 'mount --bind "$1" "$2" && mount -t tmpfs tmpfs /dev/shm && shift 2 && exec "$@"'


class NoHosts(Exception):
    """This machine, or this user, cannot make them: the message says why."""


@dataclass(frozen=True)
class Host:
    """A namespace with one link."""

    name: str
    address: str
    link: str
    """The bridge's end of its cable."""
    own: Path
    shared: Path
    """What is written here by the host is in `own`."""

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a command on this host."""
        own = ["sh", "-c", OWN_FILES, "own-files", str(self.own), str(self.shared)]
        return ["ip", "netns", "exec", self.name, *own, *command]

    def start(self, *command: str, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """A process on this host, ended with it; its output goes to a file."""
        with open(log, "ab") as output:
            return subprocess.Popen(
                self.inside(*command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment)
            )

    def cut(self) -> None:
        """Pull its cable: nobody is told, packets are lost from now on."""
        _ip("link", "set", self.link, "down")

    def process_ids(self) -> list[int]:
        """All that runs on it."""
        return [int(word) for word in _ip("netns", "pids", self.name).split()]

    def end_processes(self) -> None:
        """End them all, those that were started meanwhile as well."""
        deadline = time.monotonic() + SECONDS_TO_END
        while (running := self.process_ids()) and time.monotonic() < deadline:
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts on a bridge for the time of a `with` block; nothing of them stays.

    Raises:
        NoHosts: no root, no `ip`, or a kernel without namespaces.
    """
    if os.geteuid() or shutil.which("ip") is None:
        raise NoHosts("hosts of their own need root and the program ip (apt install iproute2)")
    # sockets lie below this folder, and their paths may have 107 characters
    folder = Path(tempfile.mkdtemp(prefix="tr-", dir="/tmp"))
    mark, net = f"tr{secrets.token_hex(2)}", f"198.18.{secrets.randbelow(256)}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            _ip("link", "add", mark, "type", "bridge")
            stack.callback(_ip, "link", "del", mark)
            _ip("addr", "add", f"{net}.254/24", "dev", mark)
            _ip("link", "set", mark, "up")
            made = [_make_host(stack, folder, f"{mark}-{number}", f"{net}.{number}") for number in range(1, count + 1)]
        except subprocess.CalledProcessError as error:
            raise NoHosts(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from error
        yield made


def _make_host(stack: ExitStack, folder: Path, name: str, address: str) -> Host:
    bridge, number = name.split("-")
    host = Host(name, address, f"{bridge}v{number}", folder / name, folder / "r")
    for each in (host.own, host.shared):
        each.mkdir(exist_ok=True)
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "del", name)
    _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", name)
    stack.callback(_ip, "link", "del", host.link)  # a connection that nobody answers would keep it for minutes
    _ip("link", "set", host.link, "master", bridge, "up")
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", name, "link", "set", device, "up")
    stack.callback(host.end_processes)
    return host


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
