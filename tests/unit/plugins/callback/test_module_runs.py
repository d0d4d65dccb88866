# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the callback that counts module runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.callback import module_runs


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> module_runs.CallbackModule:
    """Return a callback that keeps its lines in `.lines` and has no file."""
    plugin = module_runs.CallbackModule()
    plugin.lines = []
    monkeypatch.setattr(plugin, "_display", SimpleNamespace(display=plugin.lines.append))
    monkeypatch.setattr(plugin, "get_option", lambda _name: None)
    return plugin


def result(action: str, outcome: dict, host: str = "one", loop: object = None, loop_with: object = None):
    """Return what ansible-core hands to a callback."""
    return SimpleNamespace(
        host=SimpleNamespace(get_name=lambda: host),
        task=SimpleNamespace(action=action, loop=loop, loop_with=loop_with),
        result=outcome,
    )


@pytest.mark.parametrize(
    ("action", "outcome", "number"),
    [
        ("ansible.builtin.command", {}, 1),
        ("community.general.ufw", {}, 1),
        ("apt", {}, 1),
        ("debug", {}, 0),
        ("ansible.builtin.set_fact", {}, 0),
        ("ansible.legacy.meta", {}, 0),
        ("other.collection.debug", {}, 1),
        ("ansible.builtin.template", {}, 2),
        ("copy", {"changed": True}, 2),
        ("ansible.builtin.uri", {"attempts": 3}, 3),
        ("ansible.builtin.uri", {"attempts": None}, 1),
        ("asgi.production.converge", {"module_runs": 4, "attempts": 2}, 4),
        ("asgi.production.converge", {"module_runs": 0}, 0),
        ("asgi.production.converge", {"module_runs": True}, 1),
        ("asgi.production.converge", {"censored": "hidden"}, 1),
    ],
)
def test_runs(action: str, outcome: dict, number: int) -> None:
    assert module_runs.runs(action, outcome) == number


def test_a_run(callback: module_runs.CallbackModule) -> None:
    callback.v2_runner_on_ok(result("ansible.builtin.gather_facts", {}))
    callback.v2_runner_on_ok(result("asgi.production.converge", {"module_runs": 3, "changed": True}))
    callback.v2_runner_on_failed(result("ansible.builtin.command", {"changed": True}))
    callback.v2_runner_on_failed(result("ansible.builtin.command", {"changed": True}, host="two"), ignore_errors=True)
    callback.v2_playbook_on_stats(SimpleNamespace(processed={"one": 1, "three": 1}))
    assert callback.lines == [
        "module runs: one 5 (changed 1)",
        "module runs: three 0 (changed 0)",
        "module runs: two 1 (changed 1)",
    ]


@pytest.mark.parametrize("keyword", ["loop", "loop_with"])
def test_each_item_of_a_loop_counts(callback: module_runs.CallbackModule, keyword: str) -> None:
    items = [{"changed": True}, {"skipped": True}, {"unreachable": True}, {"attempts": 2}, "squashed"]
    callback.v2_runner_on_ok(result("ansible.builtin.command", {"results": items, "changed": True}, **{keyword: "x"}))
    assert callback.counts["one"].module_runs == 3
    assert callback.counts["one"].changed == 1


def test_tries_are_counted_as_they_happened(callback: module_runs.CallbackModule) -> None:
    callback.v2_runner_on_failed(result("ansible.builtin.uri", {"attempts": 2}))
    assert callback.counts["one"].module_runs == 3
    callback.v2_runner_on_failed(result("ansible.builtin.uri", {"results": [{"attempts": 2, "failed": True}]}, loop=[]))
    assert callback.counts["one"].module_runs == 6


def test_results_of_a_module_are_no_loop(callback: module_runs.CallbackModule) -> None:
    callback.v2_runner_on_ok(result("ansible.builtin.dnf", {"results": ["a", "b"]}))
    callback.v2_runner_on_ok(result("ansible.builtin.command", {"results": "text"}, loop=[]))
    assert callback.counts["one"].module_runs == 2


def test_hidden_results_say_at_least(callback: module_runs.CallbackModule) -> None:
    callback.v2_runner_on_ok(result("asgi.production.converge", {"censored": "hidden"}, host="quiet"))
    callback.v2_runner_on_ok(result("asgi.production.converge", {"censored": "hidden", "changed": True}))
    callback.v2_runner_on_ok(result("ansible.builtin.command", {}))
    callback.v2_playbook_on_stats(SimpleNamespace(processed={}))
    assert callback.lines == ["module runs: one at least 2 (changed 1)", "module runs: quiet 1 (changed 0)"]


def test_file(callback: module_runs.CallbackModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(callback, "get_option", lambda _name: str(tmp_path / "runs.json"))
    callback.v2_runner_on_ok(result("ansible.builtin.command", {}))
    callback.v2_playbook_on_stats(SimpleNamespace(processed={}))
    data = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    assert data == {"one": {"at_least": False, "changed": 0, "module_runs": 1}}


def test_a_real_run(tmp_path: Path) -> None:
    """Enabled by the environment, with a loop, a hidden result, a skip, a retry, a failure, and a JSON file."""
    play = tmp_path / "play.yml"
    play.write_text(
        """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: free}
    - ansible.builtin.command: "true"
      loop: [1, 2, 3]
      when: item != 2
      changed_when: item == 3
    - ansible.builtin.command: "true"
      no_log: true
      changed_when: false
    - ansible.builtin.command: "true"
      when: false
    - ansible.builtin.copy: {dest: "{{ playbook_dir }}/x", content: y, mode: "0600"}
    - block:
        - ansible.builtin.command: "false"
          register: x
          until: x.rc == 0
          retries: 1
          delay: 0
          changed_when: false
      rescue:
        - ansible.builtin.meta: noop
""",
        encoding="utf-8",
    )
    collections = os.pathsep.join(
        str(Path(path).parents[0]) for path in module_runs_paths() if Path(path).name == "ansible_collections"
    )
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_CALLBACKS_ENABLED": "asgi.production.module_runs",
        "ANSIBLE_CONFIG": str(tmp_path / "none.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ASGI_PRODUCTION_MODULE_RUNS_JSON": str(tmp_path / "runs.json"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    python = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", python, str(play)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "module runs: localhost 7 (changed 2)" in done.stdout
    data = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    assert data == {"localhost": {"at_least": False, "changed": 2, "module_runs": 7}}


def module_runs_paths() -> list[str]:
    """Return the folders called ansible_collections that this test run imports from."""
    import ansible_collections

    return [path for path in ansible_collections.__path__ if Path(path, "asgi", "production").exists()]
