# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of asgi.production.converge on the controller: it renders, asks once, and sends only what differs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.display import Display
from ansible_collections.asgi.production.plugins.module_utils._converge import pack
from ansible_collections.asgi.production.plugins.plugin_utils._heartbeat import heartbeat

display = Display()

ARGUMENTS: dict[str, t.Any] = {
    "id": {"type": "str", "required": True},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "packages": {"type": "list", "elements": "str", "default": []},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "dest": {"type": "str", "required": True},
            "state": {"type": "str", "default": "file", "choices": ["file", "directory", "link", "absent"]},
            "template": {"type": "str"},
            "vars": {"type": "dict"},
            "content": {"type": "str"},
            "src": {"type": "str"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str"},
            "secret": {"type": "bool", "default": False},
        },
    },
    "check": {"type": "list", "elements": "str", "default": []},
    "units": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "enabled": {"type": "bool"},
            "state": {"type": "str", "choices": ["started", "stopped", "unchanged"]},
            "manage": {"type": "bool", "default": True},
            "restart_on": {"type": "list", "elements": "str", "default": []},
            "reload_on": {"type": "list", "elements": "str", "default": []},
        },
    },
    "lock_timeout": {"type": "int", "default": 300},
}
WORD = re.compile(r"[^\s'\"`:=@/>#,;(){}\[\]]{6,}")


def check_arguments(args: dict) -> str | None:
    """What the types can't say. Returns a sentence for the first mistake."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)*", args["id"]):
        return f"id is {args['id']!r}: use lower-case letters, digits, '_', '.', '-', and '/' between parts."
    seen: set[str] = set()
    for entry in args["files"]:
        dest, state = entry["dest"], entry["state"]
        if not re.match("/[^/]", dest) or os.path.normpath(dest) != dest:
            return f"files: dest is {dest!r}: give an absolute path without '..', '//' or a '/' at its end."
        if dest in seen:
            return f"files: {dest} is declared twice: keep one of them."
        if (state == "link") != bool(entry["src"]):
            return f"files: {dest}: src goes with state link, and only with it."
        if (entry["template"] is not None or entry["content"] is not None) and state != "file":
            return f"files: {dest}: template and content go with state file."
        if entry["template"] is not None and entry["content"] is not None:
            return f"files: {dest}: give template or content, not both."
        if entry["vars"] is not None and (state != "file" or entry["content"] is not None):
            return f"files: {dest}: vars go with a template."
        if entry["mode"] is not None and not re.fullmatch(r"0?[0-7]{3,4}", entry["mode"]):
            return f'files: {dest}: mode is {entry["mode"]!r}: give an octal number in quotes, such as "0640".'
        seen.add(dest)
    for unit in args["units"]:
        if not re.fullmatch(r"[^\s/]+\.(service|socket|timer|path|mount|target)", unit["name"]):
            return f"units: name is {unit['name']!r}: give the whole name, such as nginx.service."
    return None


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        super().run(tmp, task_vars)
        self.vars, self.runs = task_vars or {}, 0
        args = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]
        mistake = check_arguments(args)
        if mistake:
            raise AnsibleActionFail(f"asgi.production.converge: {mistake}")
        self.id, self.words = args["id"], set()
        self.contents: dict[str, bytes] = {}
        plan = self.plan(args)
        try:
            result = self.converge(plan)
        except FailedError as failed:
            result = {"failed": True, "msg": self.scrub(str(failed)), "changed": failed.changed}
        return dict(result, module_runs=self.runs)

    # -- the plan

    def plan(self, args: dict) -> dict:
        """What travels: contents only as hashes until the host has said what differs."""
        present = args["state"] == "present"
        units = [
            {
                "name": unit["name"],
                "manage": unit["manage"],
                "enabled": (unit["enabled"] if "enabled" in self.given(unit) else True) if unit["manage"] else None,
                "state": (unit["state"] or "started") if unit["manage"] else "unchanged",
                "restart_on": unit["restart_on"],
                "reload_on": unit["reload_on"],
            }
            for unit in args["units"]
            if present or not unit["manage"]
        ]
        return {
            "id": self.id,
            "packages": args["packages"] if present else [],
            "files": [self.entry(entry) for entry in args["files"]] if present else [],
            "check": args["check"] if present else [],
            "units": units,
            "lock_timeout": args["lock_timeout"],
            "diff": bool(self._task.diff),
        }

    def given(self, unit: dict) -> dict:
        """The unit as the play wrote it: enabled null (leave alone) is not the same as enabled not given (true)."""
        return next(u for u in self._task.args["units"] if u["name"] == unit["name"])

    def entry(self, entry: dict) -> dict:
        kind, dest = entry["state"], entry["dest"]
        short = {"dest": dest, "kind": kind}
        if kind == "link":
            return dict(short, src=entry["src"])
        short["secret"] = entry["secret"]
        if kind == "absent":
            return short
        short.update(owner=entry["owner"], group=entry["group"])
        short["mode"] = entry["mode"] or ("0755" if kind == "directory" else "0644")
        if kind == "file":
            source, rendered = "", entry["content"]
            if rendered is None:
                source, rendered = self.render(entry["template"] or f"{dest[1:]}.j2", entry["vars"] or {})
            self.contents[dest] = rendered.encode()
            short["sha256"] = hashlib.sha256(self.contents[dest]).hexdigest()
            if entry["secret"]:
                self.words |= {*WORD.findall(rendered)} - {*WORD.findall(source)}
        return short

    def render(self, name: str, more: dict) -> tuple[str, str]:
        """A template's source, and what it renders to with more variables. The user's own folder comes first."""
        own = self._templar.template(self.vars.get("asgi_production_templates")) or ""
        path = os.path.join(own, name)
        if not own or not os.path.isfile(path):
            path = self._find_needle("templates", name)
        with open(path, encoding="utf-8") as stream:
            source = stream.read()
        folders = [os.path.join(folder, "templates") for folder in self.vars.get("ansible_search_path", [])]
        folders.insert(0, os.path.dirname(path))
        managed = "Written by asgi.production: the next run replaces what is changed here."
        known = {"ansible_managed": managed, **self.vars, **more}
        templar = self._templar.copy_with_new_env(searchpath=folders, available_variables=known)
        return source, str(templar.template(trust_as_template(source), escape_backslashes=False))

    # -- the run

    def converge(self, plan: dict) -> dict:
        host = self.vars.get("inventory_hostname", "")
        found = self.step("probe", plan)
        if not (found["missing"] or found["paths"] or found["units"] or found["pending"]):
            return {"changed": False, "packages": [], "files": [], "removed": [], "units": {}}
        if self._task.check_mode:
            done = self.apply(plan, found["paths"])
            return self.result(plan, done, found["missing"], host)
        wanted = found["paths"]
        packages: list[str] = []
        if found["missing"]:
            packages = self.install(plan, host)
            wanted = list(self.contents)  # a package may have brought or changed any of them
        with heartbeat(f"{host}: {self.id}: applies"):
            done = self.apply(plan, wanted)
        return self.result(plan, done, packages, host)

    def install(self, plan: dict, host: str) -> list[str]:
        sources = [path for path in self.contents if path.startswith("/etc/apt/")]
        ready = self.step("prepare", self.filled(plan, sources))
        if not ready["missing"]:
            return []
        self.say(f"{host}: {self.id}: installs {', '.join(ready['missing'])}")
        args = {
            "name": ready["missing"],
            "state": "present",
            "update_cache": ready["update"],
            "policy_rc_d": 101,  # no daemon starts with its vendor's defaults
            "dpkg_options": "force-confdef,force-confold",
            "install_recommends": False,
            "allow_downgrade": True,  # a pin decides, not the newest
            "lock_timeout": plan["lock_timeout"],
        }
        with heartbeat(f"{host}: {self.id}: still installs"):
            self.execute("ansible.builtin.apt", args)
        return ready["missing"]

    def apply(self, plan: dict, paths: list[str]) -> dict:
        for _attempt in range(3):
            done = self.step("apply", self.filled(plan, paths))
            if "lacking" not in done:
                return done
            paths = [*paths, *done["lacking"]]
        raise FailedError(
            f"{self.id}: files change on the host while this runs ({', '.join(paths)}): end what writes them."
        )

    def filled(self, plan: dict, paths: list[str]) -> dict:
        """The plan with the contents of these paths."""
        files = [
            dict(e, content=pack(self.contents[e["dest"]])) if e["dest"] in paths and e["kind"] == "file" else e
            for e in plan["files"]
        ]
        return dict(plan, files=files)

    def step(self, step: str, plan: dict) -> dict:
        args = {"id": self.id, "step": step, "plan": json.dumps(plan)}
        return self.execute("asgi.production.converge_host", args)["report"]

    def execute(self, module: str, args: dict) -> dict:
        """One module run. Whatever way it fails, the sentence reaches the user and nothing else does."""
        self.runs += 1
        answer = self._execute_module(module_name=module, module_args=args, task_vars=self.vars)
        if answer.get("failed"):
            words = [str(answer.get(key) or "").strip() for key in ("msg", "stderr", "module_stderr", "trace")]
            raise FailedError("\n".join(filter(None, words)), changed=module == "ansible.builtin.apt")
        return answer

    # -- what a person sees

    def result(self, plan: dict, done: dict, packages: list[str], host: str) -> dict:
        lines = [f"package {package}" for package in packages]
        lines += [f"{path} ({', '.join(why)})" for path, why in done["files"].items()]
        lines += [f"{path} removed" for path in done["removed"]]
        lines += [f"{name} {', '.join(verbs)}" for name, verbs in done["units"].items()]
        for line in [*lines, *done["notes"]]:
            self.say(f"{host}: {self.id}: {line}")
        result = {
            "changed": True,
            "packages": packages,
            "files": sorted(done["files"]),
            "removed": done["removed"],
            "units": done["units"],
        }
        if done["notes"]:
            result["notes"] = done["notes"]
        if plan["diff"]:
            result["diff"] = [self.diff(plan, path, before) for path, before in done["before"].items()]
        return result

    def diff(self, plan: dict, path: str, before: str) -> dict:
        entry = next((e for e in plan["files"] if e["dest"] == path), {"kind": "absent"})
        after = {"link": f"link to {entry.get('src')}\n", "absent": "", "directory": ""}.get(entry["kind"])
        if entry.get("secret"):
            after = "secret, changed\n"
        after = self.contents[path].decode("utf-8", "replace") if after is None else after
        return {"before_header": path, "after_header": path, "before": before, "after": after}

    def scrub(self, text: str) -> str:
        """Programs quote lines of files that they refuse: take out what came from the variables of a secret one."""
        for word in sorted(self.words, key=len, reverse=True):
            text = text.replace(word, "********")
        return text

    def say(self, line: str) -> None:
        display.display(self.scrub(line))


class FailedError(Exception):
    """The host refused, in its own words. changed: packages may have been installed before it did."""

    def __init__(self, words: str, changed: bool = False) -> None:
        super().__init__(words)
        self.changed = changed
