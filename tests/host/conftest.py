# SPDX-License-Identifier: GPL-3.0-or-later
"""One systemd host in Docker, and Ansible on the controller, as a user has them."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = os.environ.get("ASGI_SUITE", "bookworm")
NAME = f"asgi-host-{SUITE}"


class Host:
    """A test host. ``sh`` runs a shell line on it; ``play`` runs tasks on it with ansible-playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inventory = {
            "ansible_connection": "community.docker.docker",
            "ansible_docker_host": NAME,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        self.inventory = folder / "hosts.json"
        self.inventory.write_text(json.dumps({"all": {"hosts": {"one": inventory}}}))

    def sh(self, line: str) -> str:
        done = subprocess.run(["docker", "exec", NAME, "sh", "-c", line], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def run(self, plays: list[dict], *options: str) -> tuple[int, str]:
        """The code of ansible-playbook, and all that it printed."""
        book = self.folder / "play.yml"
        book.write_text(json.dumps(plays))
        env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1")
        argv = ["ansible-playbook", "-i", str(self.inventory), str(book), *options]
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def converge(self, *options: str, **arguments: t.Any) -> tuple[dict, str]:
        """One converge call: its result, and all that was printed."""
        found = self.folder / "result.json"
        task = {"asgi.production.converge": arguments, "register": "done"}
        keep = {
            "ansible.builtin.copy": {"content": "{{ done | to_json }}", "dest": str(found)},
            "delegate_to": "localhost",
            "check_mode": False,
            "diff": False,
            "no_log": True,
        }
        block = [{"block": [task], "always": [keep]}]
        said = self.run([{"hosts": "all", "gather_facts": False, "tasks": block}], *options)[1]
        return json.loads(found.read_text()), said


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    tool = str(ROOT / "tools" / "testbed" / "host")
    subprocess.run([tool, "down", f"host-{SUITE}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([tool, "up", NAME, "--scenario", f"host-{SUITE}", "--image", SUITE], check=True)
    yield Host(tmp_path_factory.mktemp("host"))
    subprocess.run([tool, "down", f"host-{SUITE}"], check=True, stdout=subprocess.DEVNULL)
