# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of asgi.production.converge that runs on the host. Private to this collection.

A plan (what a role declares) meets the host in one of three steps: ``probe`` looks and changes nothing, ``prepare``
makes the host ready for packages, ``apply`` is the transaction. What a killed run must not forget stands in the mark
``/var/lib/asgi-production/<id>.json`` before the first change, and leaves it when it has been done.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import fnmatch
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import time
import typing as t
import zlib

from ansible_collections.asgi.production.plugins.module_utils._namespace import UnsupportedError, in_private_view

DISABLED = ("", "disabled", "masked", "masked-runtime", "bad")
ENABLED = ("enabled", "enabled-runtime")  # the states between, such as static, can be neither enabled nor disabled
SHOWN = "ActiveState,UnitFileState,ConditionResult,ConditionTimestampMonotonic"
ACTIVE = ("active", "activating", "reloading", "refreshing")
NEW = ("missing", "content", "type")  # reasons that need the file's contents
PARENT_MODE = 0o755  # of folders that nobody declares


class RefusedError(Exception):
    """What a person must put right. Its text is a sentence for that person."""


def run(argv: list[str], timeout: float = 600) -> tuple[int, str]:
    """Run a program; return its exit code and all that it said. A missing program is 127, one that hangs 124."""
    env = dict(os.environ, LC_ALL="C.UTF-8")
    try:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(argv, check=False, timeout=timeout, env=env, **streams)
    except FileNotFoundError:
        return 127, f"{argv[0]}: no such program"
    except subprocess.TimeoutExpired:
        return 124, f"{argv[0]} did not end within {timeout:g} seconds"
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


def pack(data: bytes) -> str:
    """Contents as they travel in a plan."""
    return base64.b64encode(zlib.compress(data)).decode()


def temporary(path: str) -> str:
    """Where a file waits, beside its target. A leading dot keeps it out of every product's include pattern."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.asgi-new")


def unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def write(path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
    """Put data in a new file, on the disk for good: private until it is whole."""
    unlink(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        os.fchown(handle, uid, gid)
        os.fchmod(handle, mode)
        stream.flush()
        os.fsync(handle)


def copy(source: str, target: str) -> None:
    """Copy a file or link with its owner and mode; the target is replaced in one step."""
    found, temp = os.lstat(source), temporary(target)
    if stat.S_ISLNK(found.st_mode):
        unlink(temp)
        os.symlink(os.readlink(source), temp)
    else:
        with open(source, "rb") as stream:
            write(temp, stream.read(), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
    os.rename(temp, target)


def missing_parents(path: str) -> list[str]:
    """Folders that must be made before path can be, the outermost first."""
    missing: list[str] = []
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        missing.insert(0, parent)
        parent = os.path.dirname(parent)
    return missing


def ids(entry: dict) -> tuple[int, int]:
    """The numbers of an entry's owner and group, which are given by name or number."""
    found = []
    for name, lookup, kind in ((entry["owner"], pwd.getpwnam, "user"), (entry["group"], grp.getgrnam, "group")):
        try:
            found.append(int(name) if name.isdigit() else lookup(name)[2])
        except KeyError:
            cure = "declare it in a sysusers.d file or take it from a package"
            raise RefusedError(f"The {kind} {name} of {entry['dest']} does not exist on this host: {cure}.") from None
    return found[0], found[1]


def differs(entry: dict) -> list[str]:
    """In what a declared path differs from what is there; nothing when it does not."""
    path, kind = entry["dest"], entry["kind"]
    try:
        found = os.stat(path) if kind == "directory" else os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return [] if kind == "absent" else ["missing"]
    if (kind == "directory") != stat.S_ISDIR(found.st_mode):
        there = "a folder" if stat.S_ISDIR(found.st_mode) else "no folder"
        raise RefusedError(f"{path} is declared with state {kind}, but what stands there is {there}: move it away.")
    if kind == "absent":
        return ["present"]
    if kind == "link":
        return [] if stat.S_ISLNK(found.st_mode) and os.readlink(path) == entry["src"] else ["target"]
    if kind == "file":
        if not stat.S_ISREG(found.st_mode):
            return ["type"]
        with open(path, "rb") as stream:
            if hashlib.sha256(stream.read()).hexdigest() != entry["sha256"]:
                return ["content"]
    reasons = [] if stat.S_IMODE(found.st_mode) == int(entry["mode"], 8) else ["mode"]
    try:
        return reasons + (["owner"] if (found.st_uid, found.st_gid) != ids(entry) else [])
    except RefusedError:  # the user comes with a package or a sysusers.d file of this very plan
        return [*reasons, "owner"]


def not_meant_for_here(unit: dict) -> bool:
    """systemd was asked to start the unit and found its Condition...= unmet: no time daemon in a container, say."""
    return unit.get("ConditionResult") == "no" and unit.get("ConditionTimestampMonotonic", "0") != "0"


def text(entry: dict) -> str:
    """What stands at a path now, for a diff; nothing of a secret."""
    path = entry["dest"]
    if os.path.islink(path):
        return f"link to {os.readlink(path)}\n"
    if entry["secret"]:
        return "secret, not shown\n"
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as stream:
        return stream.read(200_000).decode("utf-8", "replace")


class Converge:
    """One plan on one host. ``root`` moves the folders that are known by name, for unit tests."""

    def __init__(self, plan: dict, check_mode: bool = False, root: str = "", programs: t.Callable = run) -> None:
        self.plan, self.check_mode, self.root, self.run = plan, check_mode, root, programs
        self.id: str = plan["id"]
        self.state = f"{root}/var/lib/asgi-production"
        self.entries: dict[str, dict] = {entry["dest"]: entry for entry in plan["files"]}
        self.managed = [unit["name"] for unit in plan["units"] if unit["manage"]]
        self.notes: list[str] = []
        self.mark = self._read(f"{self.state}/{self.id}.json")

    # -- what is remembered

    @staticmethod
    def _read(path: str) -> dict:
        try:
            with open(path, encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return {"files": {}, "units": [], "packages": [], "pending": {}}
        except ValueError:
            cure = "restore it, or remove it and run again (what it listed then stays)"
            raise RefusedError(f"{path} is damaged: {cure}.") from None

    def _remember(self, mark: dict) -> None:
        """Replace the mark on disk; an empty one is removed."""
        path = f"{self.state}/{self.id}.json"
        self.mark = mark
        os.makedirs(self.state, 0o700, exist_ok=True)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        if any(mark[key] for key in ("files", "units", "packages", "pending")):
            data = json.dumps(mark, indent=1, sort_keys=True).encode()
            write(temporary(path), data, 0o600, os.geteuid(), os.getegid())
            os.rename(temporary(path), path)
        else:
            unlink(path)
        self._sync({os.path.dirname(path)})

    @staticmethod
    def _sync(folders: t.Iterable[str]) -> None:
        for folder in folders:
            if os.path.isdir(folder):
                handle = os.open(folder, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)

    def _settled(self) -> dict:
        """The mark of a host on which this plan has been carried out."""
        files = {path: self._known(path) for path in self.entries}
        files.update({path: kept for path, kept in self.mark["files"].items() if self._needed(path, kept)})
        return {"files": files, "units": self.managed, "packages": self.plan["packages"], "pending": {}}

    def _known(self, path: str) -> dict:
        """What is remembered of a path. saved: the stranger that stood there is kept; made: nothing stood there."""
        entry, known = self.entries[path], self.mark["files"].get(path) or {"saved": False, "made": False}
        return dict(known, kind=entry["kind"], secret=entry.get("secret", False))

    def _needed(self, path: str, kept: dict) -> bool:
        """Is this a folder of ours around a path which is still declared?"""
        parent = kept["kind"] in ("directory", "parent") and path not in self.entries
        return parent and any(e["dest"].startswith(path + "/") for e in self.entries.values() if e["kind"] != "absent")

    def _others(self) -> dict[str, str]:
        """Path -> id, for the files that other calls hold."""
        held = {}
        for folder, names, marks in os.walk(self.state):
            names[:] = [name for name in names if not name.startswith(".")]
            for name in marks:
                other = os.path.relpath(os.path.join(folder, name), self.state)[: -len(".json")]
                if name.endswith(".json") and other != self.id:
                    files = self._read(os.path.join(folder, name))["files"]
                    held.update({p: other for p, kept in files.items() if kept["kind"] in ("file", "link")})
        return held

    @contextlib.contextmanager
    def lock(self) -> t.Iterator[None]:
        """Keep two runs on one host apart. The kernel drops the lock together with the process that holds it."""
        with open(f"{self.root}/run/asgi-production.lock", "a+", encoding="utf-8") as stream:
            deadline = time.monotonic() + self.plan["lock_timeout"]
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        stream.seek(0)
                        holder = f"another run ({stream.read().strip()}) has worked on this host for the last"
                        seconds = self.plan["lock_timeout"]
                        raise RefusedError(f"{self.id}: {holder} {seconds} seconds: wait for it or end it.") from None
                    time.sleep(0.2)
            stream.truncate(0)
            stream.write(f"process {os.getpid()}, {self.id}, since {time.strftime('%Y-%m-%dT%H:%M:%S%z')}")
            stream.flush()
            self.mark = self._read(f"{self.state}/{self.id}.json")
            yield

    # -- what differs

    def changes(self) -> list[dict]:
        """Declared paths that differ, with ``why``; then what an earlier run wrote and this one does not declare."""
        others, found = self._others(), []
        for path, entry in self.entries.items():
            if path in others and entry["kind"] != "directory":
                taken = f"{path} belongs to {others[path]}, so {self.id} can't declare it too"
                raise RefusedError(f"{taken}: choose another path.")
            found.append(dict(entry, why=differs(entry)))
        for path, kept in sorted(self.mark["files"].items(), reverse=True):  # a folder comes after what is in it
            if path not in self.entries and path not in others and not self._needed(path, kept):
                found.append({"dest": path, "kind": "forget", "was": kept, "why": ["no longer declared"]})
        return [change for change in found if change["why"]]

    def missing_packages(self) -> list[str]:
        """Packages of the plan that are not installed, or not in the version that ``name=version`` pins."""
        wanted = {package: package.partition("=")[::2] for package in self.plan["packages"]}
        if not wanted:
            return []
        query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\\n"]
        said = self.run([*query, *(name for name, pin in wanted.values())])[1]
        lines = [line.split(" ") for line in said.splitlines()]
        there = {line[0]: line[2] for line in lines if line[1:2] == ["installed"]}
        return [package for package, (name, pin) in wanted.items() if name not in there or pin not in ("", there[name])]

    def unit_states(self, names: list[str]) -> dict[str, dict]:
        """What systemd knows of units, in one question."""
        said = self.run(["systemctl", "show", f"--property={SHOWN}", "--", *names])[1] if names else ""
        blocks = [[line.split("=", 1) for line in block.splitlines() if "=" in line] for block in said.split("\n\n")]
        return dict(zip(names, [*map(dict, blocks), *({} for _name in names)]))

    def unit_actions(self, paths: list[str]) -> dict[str, list[str]]:
        """Unit -> what to do with it after these paths changed: enable, disable, start, stop, restart, reload."""
        states = self.unit_states([unit["name"] for unit in self.plan["units"]])
        actions = {}
        for unit in self.plan["units"]:
            found, wanted = states[unit["name"]], []
            if unit["enabled"] is True and found.get("UnitFileState", "") in DISABLED:
                wanted.append("enable")
            if unit["enabled"] is False and found.get("UnitFileState", "") in ENABLED:
                wanted.append("disable")
            if found.get("ActiveState") in ACTIVE:
                due = ["stop"] if unit["state"] == "stopped" else self._due(unit, paths)
            else:
                asked = unit["state"] == "started" and (self._due(unit, paths) or not not_meant_for_here(found))
                due = ["start"] if asked else []
            if wanted or due:
                actions[unit["name"]] = wanted + due
        return actions

    @staticmethod
    def _due(unit: dict, paths: list[str]) -> list[str]:
        for verb in ("restart", "reload"):  # restart beats reload
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in unit[f"{verb}_on"] for path in paths):
                return [verb]
        return []

    def paths(self, changes: list[dict]) -> list[str]:
        """All paths that units must hear of: these changes, those of a run that did not end, those of new packages."""
        owed = self.mark["pending"]
        packages = [package.partition("=")[0] for package in owed.get("packages", [])]
        installed = self.run(["dpkg", "-L", *packages])[1].splitlines() if packages else []
        return sorted({*owed.get("paths", []), *installed, *(change["dest"] for change in changes)})

    # -- step 1: look

    def probe(self) -> dict:
        changes = self.changes()
        return {
            "missing": self.missing_packages(),
            "paths": [change["dest"] for change in changes],
            "units": self.unit_actions(self.paths(changes)),
            "pending": self.mark != self._settled(),
        }

    # -- step 2: before packages

    def prepare(self) -> dict:
        """Write what is below /etc/apt, repair an interrupted dpkg, say whether the package lists need an update."""
        with self.lock():
            folder = f"{self.root}/etc/apt/"
            sources = [c for c in self.changes() if c["dest"].startswith(folder) and c["kind"] != "forget"]
            owed = self.mark["pending"]
            stale = bool(sources) or owed.get("lists", False) or self._stale_lists()
            packages = sorted({*owed.get("packages", []), *self.missing_packages()})
            self._begin([c["dest"] for c in sources], sources, packages=packages, lists=stale)
            self.put(sources)
            if self.run(["dpkg", "--audit"])[1] or os.listdir(f"{self.root}/var/lib/dpkg/updates"):
                self._repair_dpkg()
            return {"missing": self.missing_packages(), "update": stale, "paths": [c["dest"] for c in sources]}

    def _stale_lists(self) -> bool:
        folder = f"{self.root}/var/lib/apt/lists"
        lists = [name for name in os.listdir(folder) if "_Packages" in name] if os.path.isdir(folder) else []
        return not lists or os.path.getmtime(folder) < time.time() - 3600

    def _repair_dpkg(self) -> None:
        # While dpkg configures, no daemon starts with its vendor's defaults.
        policy = f"{self.root}/usr/sbin/policy-rc.d"
        ours = not os.path.lexists(policy)
        if ours:
            write(policy, b"#!/bin/sh\nexit 101\n", 0o755, os.geteuid(), os.getegid())
        code, said = self.run(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"])
        if ours:
            os.unlink(policy)
        if code:
            raise RefusedError(f"dpkg was interrupted on this host and dpkg --configure -a can't repair it: {said}")

    # -- step 3: the transaction

    def apply(self) -> dict:
        if self.check_mode:
            changes = self.changes()
            if changes or self.mark["pending"]:
                self._check(changes)
            return self._report(changes, self.unit_actions(self.paths(changes)))
        with self.lock():
            changes = self.changes()
            lacking = [c["dest"] for c in changes if c["kind"] == "file" and c["why"][0] in NEW and "content" not in c]
            if lacking:  # the host has changed since the probe
                return {"lacking": lacking}
            report = self._report(changes, {})
            early = [c for c in changes if c["kind"] != "forget" and c["dest"].startswith(self._early())]
            self._begin([c["dest"] for c in early], early)
            self.put(early)
            self._apply_early()
            rest = [c for c in changes if c not in early]
            if rest or self.mark["pending"]:
                self._check(rest)
            self._begin(self.entries, rest)
            self._retire()
            self.put(rest)
            report["units"] = self._act()
            settled = self._settled()
            for path, kept in self.mark["files"].items():
                if kept["saved"] and path not in settled["files"]:
                    unlink(self._saved(path))
            self._remember(settled)
            return report

    def _report(self, changes: list[dict], units: dict) -> dict:
        gone = [
            c["dest"] for c in changes if c["kind"] == "absent" or (c["kind"] == "forget" and self._takes(c["was"]))
        ]
        files = {c["dest"]: c["why"] for c in changes if c["kind"] not in ("absent", "forget")}
        secrets = {path for path, kept in self.mark["files"].items() if kept.get("secret")}
        shown = [dict(c, secret=c.get("secret") or c["dest"] in secrets) for c in changes] if self.plan["diff"] else []
        before = {c["dest"]: text(c) for c in shown}
        return {"files": files, "removed": gone, "units": units, "before": before, "notes": self.notes}

    @staticmethod
    def _takes(was: dict) -> bool:
        """Is anything removed or given back when this path is forgotten? Not a folder that was there before us."""
        return was["saved"] or (was["made"] and was["kind"] != "absent")

    def _early(self) -> tuple[str, ...]:
        return f"{self.root}/etc/sysusers.d/", f"{self.root}/etc/tmpfiles.d/"

    def _begin(self, adopted: t.Iterable[str], changes: list[dict], **owed: t.Any) -> None:
        """Keep the strangers that stand at our paths, then write down what is about to happen, before it happens."""
        files = dict(self.mark["files"])
        for path in {*files, *self.entries}:
            unlink(temporary(path))  # left by a run that was killed
        for path in adopted:
            kind = self.entries[path]["kind"]
            if path not in files:
                there = os.path.lexists(path)
                files[path] = {"saved": there and kind != "directory", "made": not there}
                if files[path]["saved"]:
                    os.makedirs(self.state, 0o700, exist_ok=True)
                    os.makedirs(os.path.dirname(self._saved(path)), 0o700, exist_ok=True)
                    copy(path, self._saved(path))
            files[path] = dict(files[path], kind=kind, secret=self.entries[path].get("secret", False))
            for parent in missing_parents(path) if kind != "absent" else []:
                files.setdefault(parent, {"kind": "parent", "saved": False, "made": True, "secret": False})
        pending = dict(self.mark["pending"], **owed)
        pending["paths"] = sorted({*pending.get("paths", []), *(c["dest"] for c in changes)})
        pending = {key: value for key, value in pending.items() if value}
        units, packages = {*self.mark["units"], *self.managed}, {*self.mark["packages"], *self.plan["packages"]}
        mark = {"files": files, "units": sorted(units), "packages": sorted(packages), "pending": pending}
        if mark != self.mark and (pending or changes):
            self._remember(mark)
        self.mark = mark

    def _saved(self, path: str) -> str:
        return f"{self.state}/.saved{path}"

    def put(self, changes: list[dict]) -> None:
        """Bring paths into their declared state: first everything is staged, then everything is renamed."""
        for change in sorted(changes, key=lambda c: c["dest"]):
            if change["kind"] not in ("absent", "forget"):
                for parent in missing_parents(change["dest"]):
                    os.mkdir(parent)
                    os.chmod(parent, PARENT_MODE)
                self._stage(change)
        for change in changes:
            if os.path.lexists(temporary(change["dest"])):
                os.rename(temporary(change["dest"]), change["dest"])
            elif change["kind"] in ("absent", "forget"):
                self._remove(change["dest"], change.get("was", {"kind": "file"}))
        self._sync(sorted({os.path.dirname(change["dest"]) for change in changes}))

    @staticmethod
    def _stage(change: dict) -> None:
        path = change["dest"]
        if change["kind"] == "link":
            unlink(temporary(path))
            os.symlink(change["src"], temporary(path))
            return
        (uid, gid), mode = ids(change), int(change["mode"], 8)
        if change["kind"] == "file" and change["why"][0] in NEW:
            write(temporary(path), zlib.decompress(base64.b64decode(change["content"])), mode, uid, gid)
            return
        if change["why"] == ["missing"]:
            os.makedirs(path, 0o700, exist_ok=True)
        os.chown(path, uid, gid)
        os.chmod(path, mode)

    def _remove(self, path: str, was: dict) -> None:
        """Take away what was ours or give back what was there before. A folder goes when we made it and it is empty."""
        if was.get("saved"):
            if os.path.lexists(self._saved(path)) and os.path.isdir(os.path.dirname(path)):
                copy(self._saved(path), path)
        elif was["kind"] in ("directory", "parent"):
            with contextlib.suppress(OSError):
                if was["made"]:
                    os.rmdir(path)
        elif was["kind"] != "absent" and not os.path.isdir(path):
            unlink(path)

    def _apply_early(self) -> None:
        for folder, program in zip(self._early(), (["systemd-sysusers"], ["systemd-tmpfiles", "--create"])):
            owed = self.mark["pending"].get("paths", [])
            paths = [path for path in owed if path.startswith(folder) and os.path.isfile(path)]
            code, said = self.run([*program, *paths]) if paths else (0, "")
            if code:
                raise RefusedError(f"{program[0]} refused {', '.join(paths)}: {said}")

    def _check(self, changes: list[dict]) -> None:
        """Ask the product's own checker about the new files before they are in place."""
        argv = self.plan["check"]
        if not argv:
            return
        if self.check_mode and (self.missing_packages() or shutil.which(argv[0]) is None):
            self.notes.append("not checked: its packages are not installed yet")
            return
        known = [change for change in changes if self._owner_exists(change)]
        folders = [c["dest"] for c in known]
        try:
            code, said = in_private_view(f"{self.root}/run", folders, lambda: self.put(known), lambda: self.run(argv))
            kept = "nothing was changed"
        except UnsupportedError as error:
            if self.check_mode:
                self.notes.append(f"not checked: {error}")
                return
            self.notes.append(f"checked in place: {error}")
            code, said = self._check_in_place(changes, argv)
            kept = "the old ones were put back"
        if code:
            raise RefusedError(f"{' '.join(argv)} refused the new files of {self.id}, so {kept}:\n{said}")

    def _owner_exists(self, change: dict) -> bool:
        """In check mode a user of this very plan may not exist yet: then its files can't be part of the check."""
        if change["kind"] not in ("file", "directory"):
            return True
        try:
            return bool(ids(change))
        except RefusedError as error:
            if not self.check_mode:
                raise
            self.notes.append(f"checked without {change['dest']}: {error}")
            return False

    def _check_in_place(self, changes: list[dict], argv: list[str]) -> tuple[int, str]:
        """Without a private view: put in place, check, put back on failure. A kill in between leaves it pending."""
        before, undo = self._read(f"{self.state}/{self.id}.json"), f"{self.state}/.undo"
        paths = [c["dest"] for c in changes]
        new = {path for path in paths if not os.path.lexists(path)}.union(*map(missing_parents, paths))
        kept = {path: undo + path for path in paths if path not in new and not stat.S_ISDIR(os.lstat(path).st_mode)}
        for path, copied in kept.items():
            os.makedirs(self.state, 0o700, exist_ok=True)
            os.makedirs(os.path.dirname(copied), 0o700, exist_ok=True)
            copy(path, copied)
        self._begin(self.entries, changes)
        self.put(changes)
        code, said = self.run(argv)
        if code:
            for path, copied in kept.items():
                copy(copied, path)
            for path in sorted(new, reverse=True):
                kind = "directory" if os.path.isdir(path) and not os.path.islink(path) else "file"
                self._remove(path, {"kind": kind, "made": True})
            self._remember(before)
        shutil.rmtree(undo, ignore_errors=True)
        return code, said

    def _retire(self) -> None:
        """Stop the units that this plan no longer declares, while their files are still there."""
        gone = sorted({*self.mark["units"]} - {*self.managed})
        if gone:
            self.run(["systemctl", "disable", "--now", "--", *gone])

    def _act(self) -> dict:
        """Do with the units what is due, and see that they live. What fails here stays pending."""
        paths = self.paths([])
        if any("/systemd/system/" in path for path in paths):
            self._systemctl("daemon-reload")
        actions = self.unit_actions(paths)
        for name, verbs in actions.items():
            for verb in verbs:
                self._systemctl(verb, name)
        started = [u["name"] for u in self.plan["units"] if u["state"] == "started" and u["name"] in actions]
        for name, found in self.unit_states(started).items():
            if found.get("ActiveState") not in ACTIVE and not not_meant_for_here(found):
                raise RefusedError(
                    f"{name} did not stay up after {' and '.join(actions[name])}:\n{self._journal(name)}"
                )
        return actions

    def _systemctl(self, verb: str, *name: str) -> None:
        code, said = self.run(["systemctl", verb, *name])
        if code:
            last = self._journal(name[0]) if name else ""
            raise RefusedError(
                f"systemctl {' '.join((verb, *name))} failed and stays due for the next run:\n{said}\n{last}"
            )

    def _journal(self, name: str) -> str:
        return self.run(["journalctl", "--no-pager", "--output=cat", "--lines=12", "--unit", name])[1]
