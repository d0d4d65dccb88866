# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what the health modules have found on all hosts of a play."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.asgi.production.plugins.plugin_utils import _status

display = Display()
ARGUMENTS = {
    "parts": {"type": "list", "elements": "str", "required": True},
    "prefix": {"type": "str", "default": "status_"},
    "format": {"type": "str", "choices": ["table", "json", "html"], "default": "table"},
    "file": {"type": "str", "default": ""},
    "title": {"type": "str", "default": "Status"},
    "fail_on": {"type": "str", "choices": ["failed", "degraded", "never"], "default": "failed"},
}


class ActionModule(ActionBase):
    """It runs on the controller alone and asks no host."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[dict] = None) -> dict:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, wanted = self.validate_argument_spec(argument_spec=ARGUMENTS)
        hosts, hostvars = task_vars["ansible_play_hosts_all"], task_vars["hostvars"]

        def result(host: str, part: str) -> t.Any:
            return hostvars[host].get(wanted["prefix"] + part)

        found = _status.rows(hosts, wanted["parts"], result)
        if wanted["format"] == "table":
            colors = {"ok": constants.COLOR_OK, "degraded": constants.COLOR_WARN, "failed": constants.COLOR_ERROR}
            for status, line in _status.table(found):
                display.display(line, color=colors[status])
        elif wanted["format"] == "json":
            self.write(wanted["file"], _status.as_json(found))
        else:
            when = time.strftime("%Y-%m-%d %H:%M:%S")
            self.write(wanted["file"] or "status.html", _status.page(found, wanted["title"], when))
        worst = _status.worst(found)
        fails = wanted["fail_on"] != "never" and _status.WORSE.index(worst) >= _status.WORSE.index(wanted["fail_on"])
        return {"changed": False, "failed": fails, "status": worst, "msg": _status.summary(found)}

    def write(self, name: str, text: str) -> None:
        if not name:
            display.display(text)
            return
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise AnsibleError(f"status_file is {name!r}: it can't be written ({error.strerror}).") from error
        display.display(f"written to {Path(name).resolve()}")
