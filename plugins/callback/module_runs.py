# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the modules that a run started on each host: what a run costs that changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
name: module_runs
type: aggregate
short_description: Count the module runs on each host
version_added: 1.0.0
author:
  - asgi.production contributors (@asgi-production)
description:
  - Each start of a module on a host costs the host about 0.2 CPU seconds and the network some round trips,
      whatever the module then does. This callback counts them over the whole run and prints a line for each host.
  - A result that reports RV(ignore:module_runs) itself, as M(asgi.production.converge) does, counts that many.
  - Any other result counts 1, and 2 for C(copy), C(template), C(assemble) and C(unarchive), which start C(stat) first.
      These are the least possible numbers; C(service) and C(package) without facts start C(setup)
      too, and C(reboot) starts several commands, which are not counted.
  - What is done by the controller alone counts 0, for example C(debug), C(set_fact), C(include_role) or C(meta).
      Skipped and unreachable count 0. Each item of a loop counts, and so does each try of a task with C(until).
  - A result hidden by C(no_log) does not tell its own number. It counts as above, and the host's line says C(at least)
      when a hidden task changed something.
  - Delegated tasks count for the host that they are about, not for the one that they run on.
options:
  json_file:
    description:
      - The file into which the numbers are written as JSON when the run ends. Without it, none is written.
    type: path
    env:
      - name: ASGI_PRODUCTION_MODULE_RUNS_JSON
    ini:
      - section: callback_module_runs
        key: json_file
requirements:
  - Listed in C(callbacks_enabled) of C(ansible.cfg) or in the environment variable E(ANSIBLE_CALLBACKS_ENABLED).
"""

EXAMPLES = r"""
ansible.cfg: |
  [defaults]
  callbacks_enabled = asgi.production.module_runs
"""

import json
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase

# Actions that start no module on the host: the controller does their work.
FREE = frozenset(
    {
        "add_host",
        "assert",
        "debug",
        "fail",
        "group_by",
        "import_playbook",
        "import_role",
        "import_tasks",
        "include",
        "include_role",
        "include_tasks",
        "include_vars",
        "meta",
        "pause",
        "set_fact",
        "set_stats",
        "validate_argument_spec",
    }
)
# Actions that start `stat` on the host before their module.
TWICE = frozenset({"assemble", "copy", "template", "unarchive"})
BUILTIN = ("ansible.builtin.", "ansible.legacy.")


def runs(action: str, result: t.Mapping[str, t.Any], failed: bool = False) -> int:
    """Return how many modules this result stands for."""
    reported = result.get("module_runs")
    if isinstance(reported, int) and not isinstance(reported, bool):
        return reported
    for prefix in BUILTIN:
        action = action[len(prefix) :] if action.startswith(prefix) else action
    if action in FREE:
        return 0
    tries = result.get("attempts")
    # ansible-core reports one try too few when all of them failed.
    tries = tries + failed if isinstance(tries, int) else 1
    return (2 if action in TWICE else 1) * tries


class Count:
    """The numbers of one host."""

    def __init__(self) -> None:
        self.module_runs = 0
        self.changed = 0
        self.at_least = False

    def add(self, action: str, result: t.Mapping[str, t.Any], failed: bool) -> None:
        """Add the result of a task or of a loop's item."""
        if not result.get("skipped") and not result.get("unreachable"):
            self.module_runs += runs(action, result, failed)
            self.at_least = self.at_least or ("censored" in result and bool(result.get("changed")))

    def line(self, host: str) -> str:
        """Return the host's line."""
        return f"module runs: {host} {'at least ' if self.at_least else ''}{self.module_runs} (changed {self.changed})"


class CallbackModule(CallbackBase):
    """Add up, print, write."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "asgi.production.module_runs"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts: dict[str, Count] = {}

    def _add(self, result: t.Any, failed: bool) -> None:
        """Add the result of a task, or of each item of its loop."""
        count = self.counts.setdefault(result.host.get_name(), Count())
        outcome, task = result.result, result.task
        items = outcome.get("results")
        if isinstance(items, list) and (task.loop is not None or task.loop_with):
            for item in items:
                if isinstance(item, dict):
                    count.add(task.action, item, bool(item.get("failed")))
        else:
            count.add(task.action, outcome, failed)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Count a task that went well."""
        self._add(result, failed=False)
        self._changed(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Count a task that failed: its module has run."""
        self._add(result, failed=True)
        if ignore_errors:
            self._changed(result)

    def _changed(self, result: t.Any) -> None:
        """Count a changed task, as the recap does."""
        self.counts[result.host.get_name()].changed += bool(result.result.get("changed"))

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print one line for each host of the run, and write the file."""
        hosts = sorted(set(stats.processed) | set(self.counts))
        numbers = {host: self.counts.get(host, Count()) for host in hosts}
        for host, count in numbers.items():
            self._display.display(count.line(host))
        path = self.get_option("json_file")
        if path:
            data = {host: vars(count) for host, count in numbers.items()}
            Path(path).write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
