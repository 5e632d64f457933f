"""Headless Chromium for tests: one that is installed, or Debian's own packages unpacked into a folder, without root.

python -m tests.browser.chromium .venv/chromium    # fetches what `find` finds; says why where it cannot
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / ".venv" / "chromium"
PACKAGE = "chromium-headless-shell"
NAMES = (PACKAGE, "chromium", "chromium-browser", "google-chrome")
BINARY = Path("root/usr/lib/chromium") / PACKAGE
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}/root/usr/share/fonts</dir><cachedir>{folder}/fonts</cachedir>
</fontconfig>"""


def find(folder: Path = FOLDER) -> Path | None:
    """The browser that $THETA_RAY_CHROMIUM names, that `fetch` unpacked, or that is installed."""
    named = os.environ.get("THETA_RAY_CHROMIUM")
    if named:
        return Path(named)
    if (folder / BINARY).exists():
        return folder / BINARY
    return next((Path(path) for path in map(shutil.which, NAMES) if path), None)


def environment(binary: Path) -> dict[str, str]:
    """What a browser needs to find the libraries and fonts that were unpacked beside it."""
    if not binary.as_posix().endswith(BINARY.as_posix()):
        return dict(os.environ)
    folder = binary.parents[len(BINARY.parts) - 1]
    libraries = sorted({str(path.parent) for path in (folder / "root/usr/lib").rglob("*.so*")})
    fonts = {} if Path("/etc/fonts/fonts.conf").exists() else {"FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return {**os.environ, **fonts, "LD_LIBRARY_PATH": ":".join(libraries)}


def fetch(folder: Path) -> None:
    """Unpack the newest headless Chromium of this Debian, and the libraries that are not installed.

    Raises:
        OSError: there is no apt-get, or it does not have the package.
    """
    folder = folder.resolve()
    for name in ("lists/partial", "archives/partial", "packages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # lists and cache of its own: neither root nor an earlier `apt-get update` is needed
    apt = ["apt-get", "-q", "-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}"]
    apt += ["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]
    _run([*apt, "update"], folder)
    plan = _run([*apt, "-s", "--no-install-recommends", "install", PACKAGE, "fonts-dejavu-core"], folder)
    wanted = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")} | {PACKAGE}
    _run([*apt, "download", *sorted(wanted)], folder / "packages")
    for package in sorted((folder / "packages").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(folder / "root")], folder)
    (folder / "fonts.conf").write_text(FONTS.format(folder=folder), encoding="utf-8")
    for name in ("lists", "archives", "packages"):
        shutil.rmtree(folder / name)
    for cache in folder.glob("*.bin"):
        cache.unlink()


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise OSError(f"{' '.join(command[:1] + command[-2:])}: {last}")
    return done.stdout


def main(arguments: list[str]) -> None:
    """Fetch unless there is one; a machine without it can run all other tests."""
    folder = Path(arguments[0]) if arguments else FOLDER
    found = find(folder)
    if found is None:
        try:
            fetch(folder)
        except OSError as error:
            print(f"no Chromium: {error}; tests that open pages will be skipped")  # noqa: T201
            return
        found = find(folder)
    print(f"Chromium: {found}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
