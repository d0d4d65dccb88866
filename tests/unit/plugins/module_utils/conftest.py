# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for releases in a folder: systemd, uv and the users are played, git and tar are real."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import typing as t
from pathlib import Path
from time import gmtime, strftime, struct_time
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _build, _release
from ansible_collections.asgi.production.plugins.module_utils._build import Done
from ansible_collections.asgi.production.plugins.modules.app_release import ARGUMENTS

SECRET = "correct horse battery"


class Killed(BaseException):
    """The run was killed: from here on nothing of it has an effect."""


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.on_sleep = 1_800_000_000.0, lambda: None

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()

    def gmtime(self) -> struct_time:
        return gmtime(self.now)

    strftime = staticmethod(strftime)


class Host:
    """A host: what runs on it, what was asked of it, and where it dies."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root, self.clock = root, clock
        self.home = root / "srv/shop"
        self.units: dict[str, str] = {}  # release -> systemd's ACTIVE
        self.others: set[str] = set()  # transient units that run
        self.refused: set[str] = set()  # releases that do not become ready
        self.answers: dict[str, t.Any] = {}  # part of a command line -> Done, or a function that gives one
        self.asked: list[str] = []
        self.options: list[dict] = []
        self.journal = ""
        self.owners: dict[str, str] = {}  # folder -> who owns it
        self.steps, self.dies_at, self.dead = 0, -1, False
        for folder in ("srv/shop/releases", "var/cache/asgi-production/shop", "etc/systemd/system", "run", "opt"):
            (root / folder).mkdir(parents=True)

    # -- the programs

    def __call__(self, argv: list[str], **options: t.Any) -> Done:
        return self.step(lambda: self.do(argv, options))

    def step(self, effect: t.Callable[[], t.Any]) -> t.Any:
        """Do one step; at an even number the run dies before it, at an odd one after it."""
        self.steps += 2
        if self.dead or self.steps - 2 == self.dies_at:
            self.dead = True
            raise Killed
        result = effect()
        if self.steps - 1 == self.dies_at:
            self.dead = True
            raise Killed
        return result

    def do(self, argv: list[str], options: dict) -> Done:
        line = " ".join(argv)
        self.asked.append(line)
        self.options.append(options)
        for part, answer in self.answers.items():
            if part in line:
                return answer() if callable(answer) else answer
        program = getattr(self, os.path.basename(argv[0]).replace("-", "_").replace("python3", "python"), None)
        return program(argv, options) if program else Done(0, "")

    def systemctl(self, argv: list[str], _options: dict) -> Done:
        verb, unit = argv[1], argv[-1]
        if verb == "list-units" and "-drain-" in unit:
            return Done(0, "\n".join(f"{name} loaded active running x" for name in sorted(self.others)))
        if verb == "show":
            return Done(0, "4711")
        if verb == "list-units":
            lines = [f"shop@{release}.service loaded {state} x The shop" for release, state in self.units.items()]
            return Done(0, "\n".join(lines))
        if verb == "is-active":
            return Done(0 if unit in self.others else 3, "")
        if not unit.startswith("shop@"):
            self.others.discard(unit)
            return Done(0, "")
        release = unit[len("shop@") : -len(".service")]
        if verb == "start":
            self.units[release] = "activating" if release in self.refused or "*" in self.refused else "active"
            return Done(int(self.units[release] != "active"), f"Job for {unit} failed: SECRET_KEY={SECRET}")
        self.units.pop(release, None)
        return Done(0, "")

    def systemd_run(self, argv: list[str], _options: dict) -> Done:
        unit = next(word[len("--unit=") :] for word in argv if word.startswith("--unit="))
        if "-drain-" in unit:
            self.others.add(unit)
        return Done(0, "")

    def journalctl(self, argv: list[str], _options: dict) -> Done:
        lines = [] if "--sync" in argv else self.journal.splitlines()
        return Done(0, "\n".join(reversed(lines) if "--reverse" in argv else lines))

    def git(self, argv: list[str], options: dict) -> Done:
        """The real program, by the user who runs the tests."""
        mine = {key: value for key, value in options.items() if key not in ("user", "group", "extra_groups")}
        mine["env"] = {**mine["env"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        return _build.run(argv, **mine)

    tar = git

    def python(self, argv: list[str], _options: dict) -> Done:
        if argv[1:3] == ["-m", "venv"]:
            Path(argv[3], "bin").mkdir(parents=True)
        return Done(0, "(3, 11)" if "version_info" in argv[-1] else "")

    def uv(self, argv: list[str], _options: dict) -> Done:
        if argv[1] == "venv":
            Path(argv[-1], "bin").mkdir()
        return Done(0, "")

    # -- what a test does

    def settings(self, **changes: t.Any) -> dict:
        """Return the module's options: a local folder at its first revision, if not said otherwise."""
        settings = {name: option.get("default") for name, option in ARGUMENTS.items()}
        settings.update(name="shop", source="/home/me/shop", uv_version="0.9.1", local=True, revision="local-1111aaaa")
        settings.update(secrets=f'{{"SECRET_KEY": "{SECRET}"}}', by="ann", server_requirements=["uvicorn"])
        settings.update(archive=str(self.root / "source.tar.gz"))
        return {**settings, **changes}

    def releases(self, **changes: t.Any) -> _release.Releases:
        self.clock.now += 1  # two releases are never named in the same second
        return _release.Releases(self.settings(**changes), root=str(self.root), programs=self)

    def deploy(self, name: str = "", /, **changes: t.Any) -> str:
        """Do what the role does with a folder of this revision: build, migrate, activate. Return the release."""
        if name:
            changes["revision"] = f"local-{name}"
        self.dead, self.steps = False, 0
        built = self.releases(**changes).perform("build", "")
        if built["due"]:
            if changes.get("migrate_command"):
                self.releases(**changes).perform("migrate", built["release"])
            self.releases(**changes).perform("activate", built["release"])
        return built["release"]

    def save(self, place: Path) -> tuple:
        """Keep what is on the host."""
        shutil.copytree(self.root, place, symlinks=True)
        return place, dict(self.units), set(self.others), self.clock.now

    def restore(self, saved: tuple) -> None:
        """Make the host what it was when it was saved."""
        shutil.rmtree(self.root)
        shutil.copytree(saved[0], self.root, symlinks=True)
        self.units, self.others, self.clock.now = dict(saved[1]), set(saved[2]), saved[3]
        self.dead = False

    def serves(self) -> str:
        link = self.home / "current"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else ""

    def history(self, key: str = "id") -> list[str]:
        path = self.home / "history.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line)[key] for line in lines]

    def complete(self) -> set[str]:
        return {path.parent.name for path in self.home.glob("releases/*/.complete")}

    def drained(self) -> None:
        """Let every drain come to its end."""
        for unit in [name for name in self.others if "-drain-" in name]:
            self.others.discard(unit)
            self.units.pop(unit[len("shop-drain-") : -len(".service")], None)

    def picture(self) -> dict:
        """What a person could tell apart, with revisions for the names of releases."""
        self.drained()

        def revision(release: str) -> str:
            return release.rpartition(".")[2]

        return {
            "serves": revision(self.serves()),
            "runs": {revision(release): state for release, state in self.units.items()},
            "history": [revision(release) for release in self.history()],
            "befores": [revision(release) for release in self.history("before")],
            "complete": sorted(map(revision, self.complete())),
            "folders": sorted(revision(path.name) for path in self.home.glob("releases/*")),
            "left": sorted(path.name for path in self.home.glob(".activating*")) + os.listdir(self.root / "run"),
        }


def pack(target: Path, files: dict[str, str]) -> None:
    """Pack a source as the action plugin does."""
    folder = target.parent / "source"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, arcname=".")
    shutil.rmtree(folder)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host that the role has prepared, and on which no release was made."""
    clock = Clock()
    host = Host(tmp_path, clock)
    pack(tmp_path / "source.tar.gz", {"main.py": "app = FastAPI()\n", "requirements.txt": "fastapi\n"})
    (tmp_path / "etc/systemd/system/shop@.service").write_text("[Service]\n")
    for module in (_build, _release):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(_build.os, "fsync", lambda _handle: None)  # nobody pulls this host's plug

    def chown(path: str, user: str, group: str) -> None:
        host.owners[os.path.basename(path)] = f"{user}:{group}"

    def step(function: t.Callable) -> t.Callable:
        return lambda *args, **options: host.step(lambda: function(*args, **options))

    def remove(path: str, ignore_errors: bool = False) -> None:
        host.step(lambda: shutil.rmtree(path, ignore_errors=ignore_errors))

    files = SimpleNamespace(rmtree=remove, chown=chown)
    for module in (_build, _release):
        monkeypatch.setattr(module, "shutil", files)
    for name in ("write", "unlink", "replace_link"):
        original = getattr(_build, name)
        monkeypatch.setattr(_release, name, step(original))
    monkeypatch.setattr(_build, "write", step(_build.write))
    return host
