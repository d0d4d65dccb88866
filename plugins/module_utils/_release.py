# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of one app on one host: lock, migrate, gate, flip, drain. Private to this collection."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import http.client
import json
import os
import re
import shutil
import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _http
from ansible_collections.asgi.production.plugins.module_utils._build import (
    Builder,
    ReleaseError,
    environment_file,
    last,
    read,
    replace_link,
    unlink,
    write,
)

# nginx keeps a connection to an app for two seconds: what it answers sooner may come from the release before.
SETTLED = 2.5
# Lines of a journal that a failure shows.
WORDS = 40


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Releases(Builder):
    """The releases of an app, from the lock to the last request of the release before."""

    def perform(self, step: str, release: str, check_mode: bool = False) -> dict:
        """Do a step, one at a time on this host."""
        if check_mode and step in ("migrate", "activate"):
            return {"changed": True, "release": release}
        if not os.path.isdir(f"{self.home}/releases") and (step == "rollback" or not check_mode):
            raise ReleaseError(f"{self.app} is not set up on this host: run the playbook asgi.production.site first.")
        if check_mode:
            return self.build(True) if step == "build" else self.rollback(release, True)
        with self.lock(step):
            began = time.monotonic()
            try:
                report = self.step(step, release)
            except (ReleaseError, OSError) as error:
                self.audit(step, release, began, f"failed: {str(error).splitlines()[0]}")
                raise
            if step in ("activate", "rollback") and report["changed"]:
                self.audit(step, report["release"], began, f"serves, in place of {report['before'] or 'none'}")
            return report

    def step(self, step: str, release: str) -> dict:
        if step == "build":
            return self.build()
        if step == "rollback":
            return self.rollback(release)
        if not os.path.exists(f"{self.folder(release)}/.complete"):
            raise ReleaseError(f"Release {release!r} is not on this host: another deploy has replaced it. Run again.")
        return self.migrate(release) if step == "migrate" else self.activate(release)

    def who(self) -> str:
        return self.settings["by"] or getpass.getuser()

    def audit(self, step: str, release: str, began: float, outcome: str) -> None:
        """A line for each deploy and rollback, and for what failed on the way, in a file and in the journal."""
        about = self.about(release)
        line = {
            "time": now(),
            "by": self.who(),
            "step": step,
            "release": release,
            "version": about.get("version", self.settings["version"]),
            "revision": about.get("revision", self.settings["revision"]),
            "seconds": round(time.monotonic() - began, 1),
            "outcome": outcome,
        }
        with contextlib.suppress(OSError):  # a full disk must not hide why a deploy failed
            handle = os.open(f"{self.home}/audit.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        what = f"{step} of {release}" if release else step
        text = f"{what} ({line['version'] or line['revision'][:12] or 'default branch'}) by {line['by']}: {outcome}"
        self.run(["logger", "--tag", f"{self.app}-deploy", "--", text])

    @contextlib.contextmanager
    def lock(self, step: str) -> t.Iterator[None]:
        """Programs inherit the lock: when this run is killed, the next one waits for what it has left running."""
        seconds = self.settings["lock_timeout"]
        until = time.monotonic() + seconds
        with os.fdopen(os.open(f"{self.home}/.lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as stream:
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise ReleaseError(f"{self.holder()} 'fuser {self.home}/.lock' names its processes.") from None
                time.sleep(0.2)
            self.held = (stream.fileno(),)
            stream.truncate()
            json.dump({"by": self.who(), "step": step, "since": time.time(), "pid": os.getpid()}, stream)
            stream.flush()
            yield

    def holder(self) -> str:
        """Whom this run has waited for in vain. The lock itself ends with the last process that holds it."""
        owner = json.loads(read(f"{self.home}/.lock") or "{}")
        who, step = owner.get("by", "somebody"), owner.get("step", "deploy")
        age = f"{max(0, time.time() - owner.get('since', time.time())):.0f} seconds"
        if os.path.exists(f"/proc/{owner.get('pid', 'self')}"):
            what = f"{who} has been busy with the step {step} of a deploy for {age}"
            return f"{self.app} is locked on this host: {what}; wait for it and run again."
        what = f"the step {step} of a deploy by {who} was killed, and what it started {age} ago still runs"
        return f"{self.app} is locked on this host: {what}; wait for it or end it, and run again."

    # -- step 2: migrate

    def migrate(self, release: str) -> dict:
        """Run the migration command from the new release, with the owner's credentials, before anything serves it."""
        unit, limit = f"{self.app}-migrate", self.settings["migrate_timeout"]
        until = time.monotonic() + limit
        while not self.run(["systemctl", "is-active", "--quiet", unit]).code:  # of a run that was killed
            if time.monotonic() > until:
                raise ReleaseError(f"An earlier migration still runs: 'journalctl -u {unit}' on the host shows it.")
            time.sleep(0.5)
        folder, extra = self.folder(release), f"{self.root}/run/{unit}.env"
        properties = {
            "WorkingDirectory": f"{folder}/code",
            "SyslogIdentifier": unit,
            "RuntimeMaxSec": str(limit),
            "PrivateTmp": "yes",
            "NoNewPrivileges": "yes",
            "UMask": "0027",
        }
        argv = [
            "systemd-run",
            "--quiet",
            "--wait",
            "--collect",
            f"--unit={unit}",
            f"--uid={self.app}",
            f"--gid={self.app}",
        ]
        argv += [f"--property={key}={value}" for key, value in properties.items()]
        argv += [f"--property=EnvironmentFile={path}" for path in (f"{folder}/environment", extra)]
        # systemd replaces variables, too: the shell is to have them.
        argv += ["--", "/bin/sh", "-c", self.settings["migrate_command"].replace("$", "$$")]
        since = int(time.time())
        write(extra, environment_file(self.migration), 0o600)
        try:
            done = self.run(argv, timeout=limit + 60)
        finally:
            unlink(extra)
        if done.code:
            self.failed(release)
            words = self.journal(unit, since) or self.scrub(last(done.said))
            slow = time.time() >= since + limit
            why = f"did not end within app_migrate_timeout_seconds ({limit})" if slow else "failed"
            command = self.scrub(self.settings["migrate_command"])
            raise ReleaseError(f"{command} {why}. {self.kept(release)}. It said:\n{words}")
        return {"changed": True, "release": release}

    def kept(self, release: str) -> str:
        """What serves after a failure, in words."""
        current = self.current()
        if not current:
            return "No release serves yet"
        return "systemd goes on trying" if current == release else f"Release {current} goes on serving"

    def failed(self, release: str) -> None:
        """What failed and has never served is built anew the next time; until then its folder can be looked at."""
        if release not in (self.current(), *(line.get("id") for line in self.history())):
            unlink(f"{self.folder(release)}/.complete")

    # -- step 3: start, gate, flip, check, drain

    def rollback(self, release: str, check_mode: bool = False) -> dict:
        """Let a kept release serve again: the one that is named, or the one before the one that serves."""
        current = self.current()
        if not current:
            raise ReleaseError(f"No release of {self.app} serves on this host: there is nothing to go back from.")
        wanted = release or self.previous(current)
        kept = [name for name in self.complete() if name != current]
        if wanted not in (current, *kept):
            what = f"app_release is {release!r}" if release else f"The release before {current} is {wanted or 'none'}"
            raise ReleaseError(
                f"{what}, which is not kept on this host: name one of {', '.join(kept)} as app_release."
                if kept
                else f"{what}, and no other release is kept on this host: deploy the version that you want."
            )
        if wanted == current or check_mode:
            return {"changed": wanted != current, "release": wanted, "before": current, "removed": []}
        return self.activate(wanted, "rollback")

    def previous(self, release: str) -> str:
        """What served before a release was deployed. To go back twice leads further back, not to and fro."""
        lines = [line for line in self.history() if line["id"] == release and line.get("action") != "rollback"]
        return lines[-1]["before"] if lines else ""

    def activate(self, release: str, action: str = "deploy") -> dict:
        """Let a release serve. Until the flip it gets no request; after the flip a failure flips back."""
        before = current = self.current()
        left = self.unfinished()
        if current and left.get("release") == current:  # the run that flipped to it was killed
            if current == release:
                before = left["before"]
            else:
                self.record(current, left["before"], left.get("action", action))
        write(self.marker, json.dumps({"release": release, "before": before, "action": action}), 0o600)
        self.run(["systemctl", "stop", self.draining(release)])  # it was replaced a moment ago, and comes back
        self.sweep({release, current, before})
        if release in self.running("active") and release != current and not self.ready(release):
            self.stop(release)  # it was kept warm, and is not well
        if release not in self.running("active"):
            self.start(release)
        self.flip(release)
        trouble = self.edge(first=before in ("", release))
        if trouble:
            self.take_back(release, before, trouble)
        if before not in ("", release) and (action == "rollback" or not self.settings["keep_warm"]):
            self.drain(before)
        self.record(release, before, action)
        removed = self.prune(release, before)
        unlink(self.marker)
        return {"changed": True, "release": release, "before": before, "removed": removed}

    def flip(self, release: str) -> None:
        replace_link(f"{self.home}/current", f"releases/{release}")

    def draining(self, release: str) -> str:
        return f"{self.app}-drain-{release}.service"

    def sweep(self, keep: set[str]) -> None:
        """Let go of what an earlier run that was killed left running. It may have served, so it is drained."""
        for release in self.running("active", "activating", "reloading", "failed"):
            if release not in keep:
                self.drain(release)

    def start(self, release: str) -> None:
        since = int(time.time())
        done = self.run(["systemctl", "start", self.unit(release)], timeout=self.settings["start_timeout"] + 60)
        if not done.code:
            return
        words = self.journal(self.unit(release), since) or self.scrub(done.said)
        reasons = re.findall(r"^not ready: (.+)$", words, re.MULTILINE)
        if release != self.current():
            self.stop(release)
        self.failed(release)
        unlink(self.marker)
        why = reasons[-1] if reasons else "it could not be started"
        raise ReleaseError(f"Release {release} did not become ready: {why}. {self.kept(release)}. It said:\n{words}")

    def ready(self, release: str) -> bool:
        """Ask a release that runs what its unit asked when it started."""
        pid = self.run(["systemctl", "show", "--property=MainPID", "--value", self.unit(release)]).said
        gate = ["/bin/sh", f"{self.folder(release)}/gate", release]
        return not self.run(["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", f"MAINPID={pid}", *gate], timeout=10).code

    def stop(self, release: str) -> None:
        self.run(["systemctl", "stop", self.unit(release)])
        self.run(["systemctl", "reset-failed", self.unit(release)])

    def journal(self, unit: str, since: int) -> str:
        """The last lines of a unit."""
        self.run(["journalctl", "--sync"])  # what was written just now may still be on its way
        # With --since, --lines alone means the first ones.
        show = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--reverse", f"--lines={WORDS}"]
        said = self.run([*show, f"--since=@{since}", f"--unit={unit}"]).said
        return self.scrub("\n".join(reversed(said.splitlines())))

    def edge(self, first: bool) -> str:
        """Ask for the named URLs through nginx on this host. What is wrong, or nothing."""
        flipped, patience = time.monotonic(), 10 if first else 5
        for url in self.settings["check_urls"]:
            began = time.monotonic()
            while True:
                asked, trouble = time.monotonic(), self.trouble_with(url)
                if trouble and asked >= began + patience:
                    return trouble
                if not trouble and (first or asked >= flipped + SETTLED):
                    break
                time.sleep(0.3)
        return ""

    def trouble_with(self, url: str) -> str:
        try:
            port = self.settings["check_port"]
            status = _http.get(url, address="127.0.0.1", port=port, timeout=5, verify=False).status
        except (OSError, http.client.HTTPException) as error:
            return f"{url} can't be had through nginx ({str(error) or type(error).__name__})"
        return "" if 200 <= status < 400 else f"{url} answers {status} through nginx"

    def take_back(self, release: str, before: str, trouble: str) -> None:
        """Flip back. Always raises."""
        words = self.journal(self.unit(release), int(time.time()) - 60)
        if before == release:
            unlink(self.marker)
            raise ReleaseError(f"Release {release} runs, but {trouble}. It said:\n{words}")
        if before:
            if before not in self.running("active"):  # the host was restarted after the flip
                self.start(before)
            self.flip(before)
        else:
            os.unlink(f"{self.home}/current")
        self.drain(release)
        self.failed(release)
        unlink(self.marker)
        raise ReleaseError(
            f"Release {release} was ready, but {trouble}. It was taken back. {self.kept(release)}. It said:\n{words}"
        )

    def drain(self, release: str) -> None:
        """Hand a release to a unit that waits for its last request. It lives on when this connection is lost."""
        unit = self.draining(release)
        if release in self.running("active", "reloading"):
            if not self.run(["systemctl", "is-active", "--quiet", unit]).code:
                return
            program = ["/usr/bin/python3", f"{self.root}/usr/local/lib/asgi-production/{self.app}/drain", release]
            if not self.run(["systemd-run", "--quiet", "--collect", f"--unit={unit}", *program]).code:
                return
        self.stop(release)

    def record(self, release: str, before: str, action: str) -> None:
        """Write the history, once for each change of what serves."""
        history = self.history()
        if history and history[-1]["id"] == release:
            return
        line = dict(self.about(release), before=before, by=self.who(), action=action, activated=now())
        line.pop("fingerprint", None)
        text = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in [*history, line])
        write(f"{self.home}/history.jsonl", text, 0o644)

    def prune(self, release: str, before: str) -> list[str]:
        """Remove the oldest releases beyond those to keep, never one that runs."""
        kept = {release, before, *self.running("active", "activating", "deactivating", "reloading")}
        old = [name for name in self.complete()[max(1, self.settings["keep"]) :] if name not in kept]
        for name in old:
            unlink(f"{self.folder(name)}/.complete")  # half a folder is none
            shutil.rmtree(self.folder(name))
        return old

    # -- what is there

    def table(self) -> list[dict]:
        """Each release on this host, the newest first."""
        listing = ["systemctl", "list-units", "--plain", "--no-legend", "--full", f"{self.app}-drain-*.service"]
        draining = re.findall(rf"^{self.app}-drain-(\S+)\.service", self.run(listing).said, re.MULTILINE)
        current, complete, running = self.current(), self.complete(), self.running("active", "reloading")
        served = {line["id"]: line for line in self.history()}
        folders = os.listdir(f"{self.home}/releases") if os.path.isdir(f"{self.home}/releases") else []
        found = []
        for release in sorted(folders, reverse=True):
            if release == current:
                state = "serves" if release in running else "down"
            elif release in running:
                state = "drains" if release in draining else "warm"
            else:
                state = "kept" if release in complete else "failed"
            about = {**self.about(release), **served.get(release, {})}
            keys = ("version", "revision", "by", "activated")
            found.append({"id": release, "state": state, **{key: about.get(key, "") for key in keys}})
        return found
