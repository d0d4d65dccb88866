# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is deployed to while clients ask it.

ASGI_HOST       address of the host
ASGI_DOMAIN     the site's domain; it needs no DNS
ASGI_CONTAINER  name of the container
ASGI_APP        name of the app
ASGI_SCALE      how much load: 1 (default) is about 140 requests a second
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

PROJECT = Path(__file__).resolve().parents[3]
SCENARIO = PROJECT / "molecule" / "servers"


def tls_context() -> ssl.SSLContext:
    """Accepts any certificate: the placeholder is signed by itself."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class ToHost(httpx.HTTPTransport):
    """Asks for the domain, with its name in TLS and Host, but connects to the host's address."""

    def __init__(self, address: str) -> None:
        super().__init__(verify=tls_context())
        self.address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=self.address)
        return super().handle_request(request)


@dataclass(frozen=True)
class Play:
    seconds: float
    module_runs: int
    text: str


@dataclass(frozen=True)
class Host:
    address: str
    domain: str
    container: str
    app: str

    def client(self) -> httpx.Client:
        return httpx.Client(transport=ToHost(self.address), base_url=f"https://{self.domain}", timeout=30)

    def run(self, *command: str, check: bool = True) -> str:
        argv = [shutil.which("docker") or "docker", "exec", self.container, *command]
        return subprocess.run(argv, check=check, capture_output=True, timeout=120, text=True).stdout.strip()

    def current(self) -> str:
        return self.run("readlink", f"/srv/{self.app}/current").rpartition("/")[2]

    def flipped(self) -> float:
        """When the pointer was moved the last time."""
        return float(self.run("stat", "--format=%.Y", f"/srv/{self.app}/current"))

    def play(self, playbook: str, *, fails: bool = False, **variables: object) -> Play:
        inventories = (PROJECT / "molecule" / "shared" / "inventory", SCENARIO / "inventory")
        argv = ["ansible-playbook", *(f"--inventory={path}/" for path in inventories), "--extra-vars"]
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_CALLBACKS_ENABLED": "asgi.production.module_runs",
            "ANSIBLE_NOCOLOR": "1",
            "MOLECULE_PROJECT_DIRECTORY": str(PROJECT),
            "MOLECULE_SCENARIO_NAME": "servers",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        began = time.monotonic()
        given = json.dumps(variables)
        done = subprocess.run(
            [*argv, given, f"asgi.production.{playbook}"],
            check=False,
            capture_output=True,
            text=True,
            env=env,
            timeout=300,
        )
        assert (done.returncode != 0) == fails, done.stdout[-5000:] + done.stderr[-2000:]
        runs = re.search(r"module runs: \S+ (\d+)", done.stdout)
        return Play(time.monotonic() - began, int(runs[1]) if runs else 0, done.stdout + done.stderr)


@pytest.fixture(scope="session")
def host() -> Host:
    missing = [name for name in ("ASGI_HOST", "ASGI_DOMAIN", "ASGI_CONTAINER") if not os.environ.get(name)]
    if missing:
        pytest.fail(f"set {', '.join(missing)} to say which host to look at")
    env = os.environ
    return Host(env["ASGI_HOST"], env["ASGI_DOMAIN"], env["ASGI_CONTAINER"], env.get("ASGI_APP", "shop"))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


@dataclass
class Load:
    """Clients in a process of their own, from `with` to its end; then what they have seen."""

    address: str
    domain: str
    began: float = 0.0
    calm: float = 0.0  # until then nothing was deployed
    report: dict[str, t.Any] = field(default_factory=dict)

    def __enter__(self) -> Load:
        program = Path(__file__).with_name("load.py")
        scale = os.environ.get("ASGI_SCALE", "1")
        self.process = subprocess.Popen(
            [sys.executable, str(program), self.address, self.domain, scale],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.began = time.time()
        time.sleep(4)
        self.calm = time.time()
        return self

    def __exit__(self, *_error: object) -> None:
        time.sleep(2)
        self.report = json.loads(self.process.communicate()[0])

    @property
    def sent(self) -> int:
        return sum(self.report["sent"].values())

    @property
    def lost(self) -> list[str]:
        return [f"{kind} at {when - self.began:.2f} s: {why}" for when, kind, why in self.report["lost"]]

    def by_kind(self) -> str:
        lost = [kind for _when, kind, _why in self.report["lost"]]
        return ", ".join(f"{kind} {number}/{lost.count(kind)}" for kind, number in self.report["sent"].items())

    def p99(self, calm: bool) -> float:
        """Of quick requests, in milliseconds."""
        quick = [
            took for end, took, kind in self.report["answers"] if kind != "two seconds" and (end < self.calm) == calm
        ]
        return percentile(quick, 0.99) * 1000

    def gap(self) -> float:
        """The longest time between two answers."""
        ends = sorted(end for end, _took, _kind in self.report["answers"])
        return max(after - before for before, after in zip(ends, ends[1:], strict=False))

    def ended(self, kind: str) -> list[tuple[float, str]]:
        return [(end, how) for _began, end, what, how in self.report["streams"] if what == kind]


@pytest.fixture
def load(host: Host) -> Callable[[], Load]:
    return lambda: Load(host.address, host.domain)


@pytest.fixture
def figure(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measured figure, also when the test passes."""

    def show(text: str) -> None:
        with capfd.disabled():
            print(f"\n    {text}", flush=True)

    return show
