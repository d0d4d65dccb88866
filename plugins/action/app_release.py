# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder on the controller as a release's source: hashed here, packed and sent only when the host has not got it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.asgi.production.plugins.plugin_utils._heartbeat import heartbeat

REMOTE = re.compile(r"^(https?|ssh|git|file)://|^[\w.-]+@[\w.-]+:")
CREDENTIALS = re.compile(r"^(https?://)([^/@]*)@(.*)$", re.DOTALL)
LEFT_OUT = {".git", ".venv", "venv", "__pycache__", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


def in_work_tree(folder: str) -> bool:
    """Whether the folder belongs to a git work tree. git itself says no when the tree is somebody else's."""
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return True
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)


def source_files(folder: str) -> list[str]:
    """What a release is made of: in a git work tree what git would track, else all but the usual litter."""
    names = tracked_files(folder) if in_work_tree(os.path.realpath(folder)) else all_files(folder)
    paths = {name: os.path.join(folder, name) for name in names}
    return sorted(name for name, path in paths.items() if os.path.islink(path) or os.path.isfile(path))


def tracked_files(folder: str) -> list[str]:
    """Files that git tracks or would track. Whoever owns the tree, its rules decide what is left out: often secrets."""
    # Listing files runs no program of the tree's own configuration but this one.
    trusting = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder]
    listing = [*trusting, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # as in a hook of git's
    try:
        done = subprocess.run(listing, capture_output=True, check=False, env=env)
    except FileNotFoundError:
        raise AnsibleActionFail(
            f"app_source {folder!r} is a git work tree, but there is no git here: install it."
        ) from None
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip()
        raise AnsibleActionFail(f"app_source {folder!r} is a git work tree, but git can't list its files: {words}")
    return [name.decode("utf-8", "surrogateescape") for name in done.stdout.split(b"\0") if name]


def all_files(folder: str) -> list[str]:
    found = []
    for base, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        found += [
            os.path.relpath(os.path.join(base, name), folder) for name in (*files, *links) if name not in LEFT_OUT
        ]
    return found


def revision(folder: str, names: t.Iterable[str]) -> str:
    """One word for what these files are: names, kinds, contents."""
    total = hashlib.sha256()
    for name in names:
        path = os.path.join(folder, name)
        total.update(name.encode("utf-8", "surrogateescape") + b"\0")
        if os.path.islink(path):
            total.update(b"link " + os.readlink(path).encode("utf-8", "surrogateescape") + b"\0")
        else:
            with open(path, "rb") as stream:
                total.update(b"x" if os.access(path, os.X_OK) else b"-")
                total.update(hashlib.sha256(stream.read()).digest())
    return f"local-{total.hexdigest()[:16]}"


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Say nothing of whose a file was. The app must be able to read it, also when its author's umask is strict."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def pack(folder: str, names: t.Iterable[str], target: str) -> None:
    with tarfile.open(target, "w:gz", compresslevel=6) as archive:
        for name in names:
            archive.add(os.path.join(folder, name), arcname=name, recursive=False, filter=anonymous)


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        super().run(tmp, task_vars)
        self.vars, self.runs = task_vars or {}, 0
        args = dict(self._task.args)
        source = str(args.get("source", ""))
        found = CREDENTIALS.match(source)
        if found:  # a module's options are shown and logged, but for this one
            args.update(source=found[1] + found[3], credentials=found[2])
        host = self.vars.get("inventory_hostname", "")
        with heartbeat(f"{host}: {args.get('name')}: {args.get('step')} goes on"):
            if args.get("step") != "build" or REMOTE.match(source):
                result = self.ask(args)
            else:
                result = self.build_from(os.path.expanduser(source), args)
        return dict(result, module_runs=self.runs)

    def build_from(self, folder: str, args: dict) -> dict:
        if not os.path.isabs(folder) or not os.path.isdir(folder):
            raise AnsibleActionFail(
                f"app_source is {folder!r}: that is neither the URL of a git repository nor the absolute path of a "
                "folder on this machine."
            )
        names = source_files(folder)
        if not names:
            raise AnsibleActionFail(
                f"app_source is {folder!r}: that folder is empty, or git ignores all that is in it."
            )
        args.update(source=folder, local=True, revision=revision(folder, names))
        result = self.ask(args)
        if not result.pop("wants_archive", False):
            return result
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as packed:
            pack(folder, names, packed.name)
            self._make_tmp_path()
            there = self._connection._shell.join_path(self._connection._shell.tmpdir, "source.tar.gz")
            self._transfer_file(packed.name, there)
            self._fixup_perms2((self._connection._shell.tmpdir, there), execute=False)
            return self.ask(dict(args, archive=there))

    def ask(self, args: dict) -> dict:
        self.runs += 1
        return self._execute_module(module_name="asgi.production.app_release", module_args=args, task_vars=self.vars)
