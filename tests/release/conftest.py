# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One real host with nginx and an app, deployed to by the role itself. The apps are a few lines, made up by each test.

ASGI_SUITE      bookworm (default) or trixie
ASGI_KEEP       keep the host for a look at it, and for a faster next run
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = "release1"
SCENARIO = "release"
DOMAIN = "tiny.example"
# Nothing may ever show these.
CANARIES = {
    "app_secret_key": "canary-key-5d1c7a0b9e2f4688",
    "app_secret_environment": {
        "API_TOKEN": "canary-token-77e0c1",
        "PEM": "-----\ncanary-pem-line-1\ncanary-pem-line-2\n",
    },
    "app_redis_url": "redis://app:canary-redis-31ab@192.0.2.7:6379/0",
    "app_database_url": "postgresql://tiny:canary-db%2F8c1d@192.0.2.7/tiny",
    "app_database_owner_url": "postgresql://tiny_owner:canary-owner-aa02@192.0.2.7/tiny",
}
CANARY = re.compile(r"canary[-\w%/]*")

GOOD = """
    import os

    from fastapi import FastAPI, WebSocket

    app = FastAPI()

    @app.get("/health/ready")
    def ready():
        return {"release": os.getcwd().split("/")[4], "version": os.environ["APP_VERSION"], "mark": MARK}

    @app.get("/environment")
    def environment():
        return dict(os.environ)

    @app.websocket("/ws")
    async def echo(socket: WebSocket):
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())
    """


def execute(*argv: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert not check or done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"
    return done


@dataclass
class Play:
    """What a run of the playbook said."""

    code: int
    text: str
    seconds: float

    @property
    def changed(self) -> int:
        return int(re.search(r"changed=(\d+)", self.text)[1])

    @property
    def module_runs(self) -> int:
        return int(re.search(r"module runs: \S+ (\d+)", self.text)[1])

    @property
    def failure(self) -> str:
        """What a person reads at the end of a failed play."""
        return self.text.partition("[ERROR]: Task failed")[2].partition("PLAY RECAP")[0]

    def task(self, name: str) -> float:
        return float(re.search(rf"{re.escape(name)} -+ ([\d.]+)s", self.text)[1])


@dataclass
class Machine:
    """The host, from where an operator sits."""

    folder: Path
    plays: list[Play] = field(default_factory=list)
    variables: dict = field(default_factory=dict)

    def run(self, *argv: str, check: bool = True, user: str = "root", text: str | None = None) -> str:
        command = ["docker", "exec", *(["-i"] if text is not None else []), "--user", user, HOST, *argv]
        return execute(*command, check=check, input=text).stdout.strip()

    def shell(self, script: str, check: bool = True, user: str = "root") -> str:
        return self.run("bash", "-euo", "pipefail", "-c", script, check=check, user=user)

    def play(
        self,
        *options: str,
        book: str = "app",
        collections: Path | None = None,
        fails: bool = False,
        **variables: object,
    ) -> Play:
        """Run the role with -vvv; what a secret is must not be in its output, however it ends."""
        given = self.folder / "variables.json"
        given.write_text(json.dumps({**CANARIES, **self.variables, **variables}))
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACKS_ENABLED": "asgi.production.module_runs,ansible.posix.profile_tasks",
            "ANSIBLE_COLLECTIONS_PATH": str(collections or ROOT / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
            "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        argv = ["ansible-playbook", "-vvv", "-i", str(self.folder / "hosts.yml"), "-e", f"@{given}", *options]
        began = time.monotonic()
        done = execute(*argv, str(self.folder / f"{book}.yml"), check=False, env=env)
        result = Play(done.returncode, done.stdout + done.stderr, time.monotonic() - began)
        self.plays.append(result)
        (self.folder / "last.txt").write_text(result.text)
        shown = CANARY.findall(result.text)
        assert not shown, f"the play shows {shown}"
        assert (result.code != 0) == fails, result.text[-6000:]
        return result

    def overlay(self, name: str, file: str, addition: str) -> Path:
        """The collection with an addition to one of its module_utils: how a run dies at a place of our choice."""
        top = self.folder / name / "ansible_collections" / "asgi" / "production"
        for folder in (ROOT, ROOT / "plugins", ROOT / "plugins" / "module_utils"):
            there = top / folder.relative_to(ROOT)
            there.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                if path.name in ("plugins", "module_utils", file) or path.name.startswith("."):
                    continue
                (there / path.name).unlink(missing_ok=True)
                (there / path.name).symlink_to(path)
        source = (ROOT / "plugins" / "module_utils" / file).read_text()
        (top / "plugins" / "module_utils" / file).write_text(source + "\n\n" + textwrap.dedent(addition))
        return self.folder / name

    # -- what is there

    def current(self, app: str = "tiny") -> str:
        return self.run("readlink", f"/srv/{app}/current", check=False).rpartition("/")[2]

    def running(self, app: str = "tiny") -> list[str]:
        """Releases with a process."""
        units = self.shell(f"systemctl list-units --plain --no-legend --full '{app}@*'", check=False)
        return [line.split("@", 1)[1].partition(".service")[0] for line in units.splitlines()]

    def settled(self, app: str = "tiny", seconds: float = 20) -> list[str]:
        """What runs when nothing drains any more."""
        end = time.monotonic() + seconds
        while len(found := self.running(app)) > 1 and time.monotonic() < end:
            time.sleep(0.3)
        return found

    def answer(self, path: str = "/health/ready", domain: str = DOMAIN) -> dict:
        """JSON through nginx; a dictionary with the status when it is not 200."""
        said = self.run(
            "curl", "-sk", "-w", "\n%{http_code}", "--resolve", f"{domain}:443:127.0.0.1", f"https://{domain}{path}"
        )
        body, _newline, status = said.rpartition("\n")
        return json.loads(body) if status == "200" else {"status": int(status)}

    def history(self, app: str = "tiny") -> list[dict]:
        return [json.loads(line) for line in self.run("cat", f"/srv/{app}/history.jsonl", check=False).splitlines()]

    def serves(self, mark: str) -> bool:
        return self.answer().get("mark") == mark

    def whole(self, release: str) -> None:
        """One release runs, is current, and nothing is left of the way there."""
        assert self.settled() == [release] == [self.current()]
        assert self.history()[-1]["id"] == release
        assert (
            self.run(
                "find",
                "/srv/tiny",
                "/run",
                "-name",
                ".activating",
                "-o",
                "-name",
                "*.new",
                "-o",
                "-name",
                "*-migrate.env",
            )
            == ""
        )

    def restart(self) -> None:
        execute(str(ROOT / "tools" / "testbed" / "host"), "restart", HOST)


INVENTORY = f"""
all:
  children:
    web: {{hosts: {{one: }}}}
    app: {{hosts: {{one: }}}}
  vars:
    ansible_connection: community.docker.docker
    ansible_host: {HOST}
    ansible_python_interpreter: /usr/bin/python3
    app_name: tiny
    app_migrate_command: ""
    app_memcached_servers: ""
    app_groups: []
    stack_domain: {DOMAIN}
    stack_email: admin@tiny.example
    stack_postgres_password: unused
    stack_postgres_owner_password: unused
    stack_redis_password: unused
"""
BOOK = """
- hosts: app
  gather_facts: false
  become: true
  pre_tasks:
    - asgi.production.host_facts:
  roles:
    - role: asgi.production.stack
    - role: asgi.production.{role}
"""


# Secrets that any process list ever shows, also after the host was restarted. It does not show itself.
WATCH = r"""
[Service]
ExecStart=/bin/sh -c 'while sleep 0.15; do cat /proc/[0-9]*/cmdline 2>&1 | grep -ao "canar[y]-.*"; done >>/var/tmp/seen'
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("release")
    (folder / "hosts.yml").write_text(INVENTORY)
    for role in ("app", "nginx"):
        (folder / f"{role}.yml").write_text(BOOK.format(role=role))
    bed = str(ROOT / "tools" / "testbed" / "host")
    if not os.environ.get("ASGI_KEEP"):
        execute(bed, "down", SCENARIO)
    execute(bed, "up", HOST, "--scenario", SCENARIO, "--image", os.environ.get("ASGI_SUITE", "bookworm"))
    machine = Machine(folder)
    machine.run("tee", "/etc/systemd/system/watch.service", text=WATCH)
    machine.shell("systemctl daemon-reload; systemctl enable --quiet --now watch")
    yield machine
    if not os.environ.get("ASGI_KEEP"):
        execute(bed, "down", SCENARIO)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write the app, in the same folder each time: code (GOOD with a mark, unless given), and more files by keyword."""
    folder = tmp_path_factory.mktemp("source") / "tiny"
    folder.mkdir()

    def write(mark: str, code: str = GOOD, **files: str) -> Path:
        text = textwrap.dedent(code)
        (folder / "main.py").write_text(text.replace("MARK", repr(mark)) if "MARK" in text else f"# {mark}\n{text}")
        (folder / "requirements.txt").write_text("fastapi==0.136.0\n")
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder

    return write


@dataclass(frozen=True)
class Serving:
    """What serves before a test."""

    release: str
    mark: str


@pytest.fixture
def good(machine: Machine, source: Callable[..., Path]) -> Serving:
    """The release of the app "good", with no setting but the tests' own."""
    machine.variables = {"app_source": str(source("good"))}
    if not machine.serves("good") or machine.settled() != [machine.current()]:
        machine.play()
    assert machine.serves("good") and machine.settled() == [machine.current()]
    return Serving(machine.current(), "good")


@pytest.fixture
def serving(machine: Machine, request: pytest.FixtureRequest) -> Serving:
    """A release that serves, whichever."""
    mark = machine.answer().get("mark")
    if mark is None or machine.settled() != [machine.current()]:
        return request.getfixturevalue("good")
    return Serving(machine.current(), mark)


@pytest.fixture
def figure(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measured figure, also when the test passes."""

    def show(text: str) -> None:
        with capfd.disabled():
            print(f"\n    {text}", flush=True)

    return show
