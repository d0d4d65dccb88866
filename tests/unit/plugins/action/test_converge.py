# SPDX-License-Identifier: GPL-3.0-or-later
"""Both halves of converge together: the action plugin asks a host that is a folder, with a fake systemd and dpkg."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.asgi.production.plugins.action import converge as action
from ansible_collections.asgi.production.plugins.module_utils import _converge as half

ME = {"owner": str(os.getuid()), "group": str(os.getgid())}
SHOP = "/etc/shop/shop.conf"
UNIT = "/etc/systemd/system/shop.service"
TEMPLATES = {
    "etc/shop/shop.conf.j2": "{{ ansible_managed | comment }}\n{% if port %}\nport {{ port }}\n{% endif %}\n",
    "part.j2": "{% include 'inner.j2' %}\n",
    "inner.j2": "{{ part.name }}",
    "secret.j2": "password = {{ password }}\n",
}


class KilledError(BaseException):
    """The run ends here, and nothing that follows happens."""


class Host:
    """What a plan meets: files below a folder, units and packages that change as their programs are told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units: dict[str, dict[str, str]] = {}
        self.packages: dict[str, str] = {}
        self.package_files: dict[str, list[str]] = {}
        self.calls: list[list[str]] = []
        self.refuse: dict[tuple, str] = {}
        self.dying: set[str] = set()
        self.audit = ""
        for folder in ("run", "etc", "usr/sbin", "var/lib/dpkg/updates", "var/lib/apt/lists"):
            (root / folder).mkdir(parents=True)
        (root / "var/lib/apt/lists/x_Packages").touch()

    def path(self, name: str) -> Path:
        return self.root / name[1:]

    def put(self, name: str, words: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(words, encoding="utf-8")

    def text(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")

    def mark(self, name: str = "shop") -> dict:
        path = self.path(f"/var/lib/asgi-production/{name}.json")
        return json.loads(path.read_text(encoding="utf-8").replace(str(self.root), "")) if path.exists() else {}

    def tree(self) -> dict[str, tuple]:
        """All that is on the disk, but for the lock and the folders of what is remembered."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path.name == "asgi-production.lock" or (path.is_dir() and "asgi-production" in str(path)):
                continue
            if path.is_symlink():
                what: t.Any = os.readlink(path)
            else:
                what = path.read_text(encoding="utf-8").replace(str(self.root), "") if path.is_file() else "folder"
            found[str(path.relative_to(self.root)).replace(str(self.root)[1:], "HOST")] = (
                what,
                oct(path.lstat().st_mode),
            )
        return found

    def actions(self) -> list[str]:
        """What programs were told to do, without questions."""
        asking = {"show", "-W", "-L", "--audit"}
        told = [" ".join(argv).replace(str(self.root), "") for argv in self.calls if asking.isdisjoint(argv)]
        self.calls.clear()
        return told

    # -- its programs

    def run(self, argv: list[str], timeout: float = 600) -> tuple[int, str]:
        self.calls.append(list(argv))
        for words, said in self.refuse.items():
            if tuple(argv[: len(words)]) == words:
                return 1, said
        does = getattr(self, argv[0].replace("-", "_"))(argv)
        return does if isinstance(does, tuple) else (0, does or "")

    def systemctl(self, argv: list[str]) -> str:
        verb, names = argv[1], [name for name in argv[2:] if not name.startswith("-")]
        if verb == "show":
            return "\n\n".join("\n".join(f"{k}={v}" for k, v in self.units.get(n, {}).items()) for n in names)
        for name in names:
            unit = self.units.setdefault(name, {})
            if verb in ("start", "restart"):
                unit["ActiveState"] = "failed" if name in self.dying else "active"
            if verb == "stop" or "--now" in argv:
                unit["ActiveState"] = "inactive"
            if verb in ("enable", "disable"):
                unit["UnitFileState"] = f"{verb}d"
        return ""

    def dpkg_query(self, argv: list[str]) -> str:
        return "\n".join(
            f"{name} installed {self.packages[name]}" if name in self.packages else f"dpkg-query: no package {name}"
            for name in argv[4:]
        )

    def dpkg(self, argv: list[str]) -> str:
        if argv[1] == "-L":
            return "\n".join(str(self.path(path)) for name in argv[2:] for path in self.package_files.get(name, []))
        if argv[1] == "--audit":
            return self.audit
        assert (self.root / "usr/sbin/policy-rc.d").exists()
        self.audit = ""
        return ""

    def systemd_sysusers(self, argv: list[str]) -> None:
        assert all(Path(path).is_file() for path in argv[1:])

    def systemd_tmpfiles(self, argv: list[str]) -> None:
        assert all(Path(path).is_file() for path in argv[2:])

    def journalctl(self, argv: list[str]) -> str:
        return "the journal"

    def checker(self, argv: list[str]) -> tuple[int, str]:
        """A product's own checker: no file of its folder may contain `bad`."""
        for path in sorted((self.root / "etc/shop").glob("*")):
            if path.is_file() and "bad" in path.read_text(encoding="utf-8"):
                return 1, f"{path.name}: {path.read_text(encoding='utf-8')}"
        return 0, "fine"


class Play:
    """Calls the plugin as a play would, and keeps what a person saw and which modules ran."""

    def __init__(self, host: Host, role: Path) -> None:
        self.host, self.role = host, role
        self.variables: dict[str, t.Any] = {"inventory_hostname": "web1", "port": 80, "password": "hunter2hunter2"}
        self.lines: list[str] = []
        self.beats: list[str] = []
        self.modules: list[tuple[str, dict]] = []
        self.on_module: t.Callable[[str, dict], t.Optional[dict]] = lambda module, args: None

    def __call__(self, check_mode: bool = False, diff: bool = False, **args: t.Any) -> dict:
        self.lines.clear()
        self.beats.clear()
        self.modules.clear()
        self.host.calls.clear()
        self.check_mode = check_mode
        task = SimpleNamespace(
            args={"id": "shop", **args},
            check_mode=check_mode,
            diff=diff,
            async_val=0,
            action="asgi.production.converge",
            get_search_path=lambda: [str(self.role)],
        )
        loader = DataLoader()
        variables = {"ansible_search_path": [str(self.role)], **self.variables}
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/none"))
        plugin = action.ActionModule(task, connection, None, loader, Templar(loader=loader, variables=variables))
        plugin._execute_module = self.execute
        result = plugin.run(task_vars=variables)
        assert result["module_runs"] == len(self.modules)
        assert "sha256" not in json.dumps(result)  # the plan is never part of a result
        return result

    def execute(self, module_name: str, module_args: dict, task_vars: dict) -> dict:
        plan = json.loads(module_args["plan"]) if "plan" in module_args else module_args
        self.modules.append((module_args.get("step", module_name), plan))
        answer = self.on_module(self.modules[-1][0], plan)
        if answer is not None:
            return answer
        if module_name == "ansible.builtin.apt":
            for name, _sign, version in (package.partition("=") for package in module_args["name"]):
                self.host.packages[name] = version or "1"
                for path in self.host.package_files.get(name, []):
                    self.host.put(path, "as packed")
            return {"changed": True}
        root = str(self.host.root)
        for entry in plan["files"]:
            entry["dest"] = root + entry["dest"]
        for unit in plan["units"]:
            for key in ("restart_on", "reload_on"):
                unit[key] = [root + pattern for pattern in unit[key]]
        try:
            work = half.Converge(plan, self.check_mode, root, self.host.run)
            report = getattr(work, module_args["step"])()
        except (half.RefusedError, RuntimeError) as error:
            return {"failed": True, "msg": str(error).replace(root, ""), "trace": ""}
        return {"report": json.loads(json.dumps(report).replace(root, ""))}

    def steps(self) -> list[str]:
        return [module[0] for module in self.modules]


@pytest.fixture
def tmp_path() -> t.Iterator[Path]:
    """In memory where there is such a folder: the hosts here write and remove some ten thousand files."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as path:
        yield Path(path)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.fixture
def play(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    for name, words in TEMPLATES.items():
        path = tmp_path / "role" / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words, encoding="utf-8")
    play = Play(host, tmp_path / "role")

    @contextlib.contextmanager
    def beat(line: str) -> t.Iterator[None]:
        play.beats.append(line)
        yield

    def view(run: str, paths: list[str], change: t.Callable, then: t.Callable) -> tuple[int, str]:
        """As in a private mount namespace: afterwards everything is as it was."""
        shutil.copytree(host.root, tmp_path / "copy", symlinks=True)
        try:
            change()
            return then()
        finally:
            shutil.rmtree(host.root)
            os.rename(tmp_path / "copy", host.root)

    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(action, "heartbeat", beat)
    monkeypatch.setattr(action, "display", SimpleNamespace(display=play.lines.append))
    monkeypatch.setattr(half, "in_private_view", view)
    monkeypatch.setattr(half.shutil, "which", lambda program: program)
    return play


def unsupported(*_args: object) -> t.NoReturn:
    raise half.UnsupportedError("this kernel allows no private mounts (Operation not permitted)")


def file(dest: str, content: t.Optional[str] = "text\n", **more: t.Any) -> dict:
    return {"dest": dest, **({} if content is None else {"content": content}), **ME, **more}


def folder(dest: str, **more: t.Any) -> dict:
    return {"dest": dest, "state": "directory", **ME, **more}


def nothing(runs: int = 1) -> dict:
    return {"changed": False, "packages": [], "files": [], "removed": [], "units": {}, "module_runs": runs}


# -- the normal course


def full() -> dict:
    """A plan with one of each."""
    return {
        "packages": ["shop", "extra=2"],
        "files": [
            file("/etc/apt/sources.list.d/shop.sources"),
            file("/etc/sysusers.d/shop.conf"),
            file("/etc/tmpfiles.d/shop.conf"),
            folder("/etc/shop", mode="0750"),
            file(SHOP, None, mode="0640"),
            file(UNIT, "[Service]\n"),
            {"dest": "/etc/shop/link", "state": "link", "src": "shop.conf"},
            {"dest": "/etc/shop/default", "state": "absent"},
        ],
        "check": ["checker", "-t"],
        "units": [
            {"name": "shop.service", "restart_on": [UNIT, "/usr/lib/shop/*"], "reload_on": ["/etc/shop/*"]},
            {"name": "other.service", "manage": False, "reload_on": ["/etc/sysusers.d/*"]},
        ],
    }


def test_a_fresh_host_gets_everything_in_order_and_then_one_module_run_changes_nothing(host: Host, play: Play) -> None:
    host.put("/etc/shop/default", "a stranger")
    host.units["other.service"] = {"ActiveState": "active", "UnitFileState": "enabled"}
    result = play(**full())
    assert play.steps() == ["probe", "prepare", "ansible.builtin.apt", "apply"]
    assert host.actions() == [
        "systemd-sysusers /etc/sysusers.d/shop.conf",
        "systemd-tmpfiles --create /etc/tmpfiles.d/shop.conf",
        "checker -t",
        "systemctl daemon-reload",
        "systemctl enable shop.service",
        "systemctl start shop.service",
        "systemctl reload other.service",
    ]
    apt = dict(play.modules)["ansible.builtin.apt"]
    assert apt["name"] == ["shop", "extra=2"]
    assert (apt["policy_rc_d"], apt["update_cache"], apt["allow_downgrade"]) == (101, True, True)
    assert play.beats == ["web1: shop: still installs", "web1: shop: applies"]
    assert play.lines[0] == "web1: shop: installs shop, extra=2"
    for line in ("package shop", f"{SHOP} (missing)", "/etc/shop/default removed", "shop.service enable, start"):
        assert f"web1: shop: {line}" in play.lines
    assert result["packages"] == ["shop", "extra=2"]
    assert result["removed"] == ["/etc/shop/default"]
    assert result["units"] == {"shop.service": ["enable", "start"], "other.service": ["reload"]}
    assert (
        host.text(SHOP) == "#\n# Written by asgi.production: the next run replaces what is changed here.\n#\nport 80\n"
    )
    assert oct(host.path(SHOP).stat().st_mode) == "0o100640"
    assert os.readlink(host.path("/etc/shop/link")) == "shop.conf"
    assert host.mark()["pending"] == {}
    assert play(**full()) == nothing()
    assert play.lines == []
    assert play(check_mode=True, **full()) == nothing()


def test_a_change_is_two_module_runs_and_only_what_differs_travels(host: Host, play: Play) -> None:
    plan = {"files": [file("/etc/a"), file(SHOP, None)], "units": [{"name": "a.service", "reload_on": ["/etc/shop/*"]}]}
    play(**plan)
    play.variables["port"] = 81
    result = play(**plan)
    assert play.steps() == ["probe", "apply"]
    assert ["content" in entry for entry in play.modules[1][1]["files"]] == [False, True]
    assert result["files"] == [SHOP]
    assert result["units"] == {"a.service": ["reload"]}


def test_check_mode_says_what_will_happen_and_changes_nothing(host: Host, play: Play) -> None:
    before = host.tree()
    result = play(check_mode=True, diff=True, **full())
    assert host.tree() == before
    assert result["changed"]
    assert result["packages"] == ["shop", "extra=2"]
    assert result["notes"] == ["not checked: its packages are not installed yet"]
    assert result["units"] == {"shop.service": ["enable", "start"]}
    assert {entry["before_header"] for entry in result["diff"]} > {SHOP, UNIT}
    assert play.steps() == ["probe", "apply"]


def test_check_mode_checks_too(host: Host, play: Play) -> None:
    result = play(check_mode=True, files=[file(SHOP, "bad\n")], check=["checker"])
    assert result["failed"]
    assert "nothing was changed" in result["msg"]
    owned = {**file("/etc/shop/owned"), "owner": "nobody-has-this-name"}
    result = play(check_mode=True, files=[owned, folder("/etc/shop")], check=["checker"])
    assert result["notes"][0].startswith("checked without /etc/shop/owned: The user nobody-has-this-name of")
    assert host.actions() == ["checker"]


def test_templates_take_variables_of_their_entry_include_others_and_yield_to_the_users_own(
    host: Host, play: Play, tmp_path: Path
) -> None:
    files = [file("/etc/one", None, template="part.j2", vars={"part": {"name": "first"}})]
    files += [file("/etc/two", None, template="part.j2", vars={"part": {"name": "second"}})]
    play(files=files)
    assert (host.text("/etc/one"), host.text("/etc/two")) == ("first\n", "second\n")
    own = tmp_path / "own"
    own.mkdir()
    (own / "part.j2").write_text("mine\n", encoding="utf-8")
    play.variables["asgi_production_templates"] = str(own)
    play(files=[*files, file("/etc/three", None, template="secret.j2")])
    assert (host.text("/etc/one"), host.text("/etc/three")) == ("mine\n", "password = hunter2hunter2\n")


def test_a_template_that_is_missing_is_named(play: Play) -> None:
    with pytest.raises(AnsibleError, match=r"etc/none\.j2"):
        play(files=[file("/etc/none", None)])


def test_a_user_that_the_plan_itself_brings_is_no_difference_of_its_own(host: Host, play: Play) -> None:
    """The probe can't know the user yet; it comes with the sysusers.d file."""
    play(files=[file(SHOP)])
    result = play(check_mode=True, files=[{**file(SHOP, mode="0600"), "owner": "nobody-has-this-name"}])
    assert f"web1: shop: {SHOP} (mode, owner)" in play.lines
    assert result["units"] == {}


# -- failures


def test_a_failed_check_changes_nothing_and_leaves_no_mark(host: Host, play: Play) -> None:
    before = host.tree()
    result = play(files=[file(SHOP, "bad line\n")], check=["checker", "-q"], units=[{"name": "a.service"}])
    assert result["failed"]
    assert not result["changed"]
    assert (
        result["msg"]
        == "checker -q refused the new files of shop, so nothing was changed:\nshop.conf: bad line\n".strip()
    )
    assert host.tree() == before
    assert host.actions() == ["checker -q"]


def test_where_the_kernel_refuses_the_check_is_in_place(
    host: Host, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half, "in_private_view", unsupported)
    play(files=[file(SHOP), file("/etc/shop/other")])
    before = host.tree()
    changed = [file(SHOP, "bad\n"), folder("/etc/shop/new/one"), file("/etc/shop/new/two", "x")]
    changed += [{"dest": "/etc/shop/link", "state": "link", "src": "x"}]
    result = play(files=changed, check=["checker"], units=[{"name": "a.service"}])
    assert "so the old ones were put back:\nshop.conf: bad" in result["msg"]
    assert host.tree() == before
    note = "this kernel allows no private mounts (Operation not permitted)"
    result = play(check_mode=True, files=changed, check=["checker"])
    assert result["notes"] == [f"not checked: {note}"]
    changed[0]["content"] = "good\n"
    result = play(files=changed, check=["checker"])
    assert result["notes"] == [f"checked in place: {note}"]
    assert f"web1: shop: checked in place: {note}" in play.lines
    assert result["removed"] == ["/etc/shop/other"]
    assert (host.text(SHOP), host.path("/var/lib/asgi-production/.undo").exists()) == ("good\n", False)
    assert play(files=changed, check=["checker"]) == nothing()


def test_a_check_in_place_on_a_fresh_host_leaves_no_mark(
    host: Host, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half, "in_private_view", unsupported)
    assert play(files=[file(SHOP, "bad\n")], check=["checker"], units=[{"name": "a.service"}])["failed"]
    assert host.mark() == {}
    assert not host.path("/etc/shop").exists()


def test_an_owner_that_does_not_exist_is_named_before_anything_changes(host: Host, play: Play) -> None:
    before = host.tree()
    for key, kind in (("owner", "user"), ("group", "group")):
        result = play(files=[{**file(SHOP), key: "nobody-has-this-name"}], check=["checker"])
        assert result["msg"] == (
            f"The {kind} nobody-has-this-name of {SHOP} does not exist on this host: "
            "declare it in a sysusers.d file or take it from a package."
        )
    assert host.tree() == before


def test_a_failed_reload_stays_pending(host: Host, play: Play) -> None:
    plan = {"files": [file(SHOP)], "units": [{"name": "a.service", "reload_on": ["/etc/shop/*"]}]}
    play(**plan)
    plan["files"] = [file(SHOP, "new\n")]
    host.refuse[("systemctl", "reload")] = "it would not"
    result = play(**plan)
    assert (
        result["msg"] == "systemctl reload a.service failed and stays due for the next run:\nit would not\nthe journal"
    )
    assert host.mark()["pending"] == {"paths": [SHOP]}
    assert play(**plan)["failed"]
    host.refuse.clear()
    result = play(**plan)
    assert (result["files"], result["units"]) == ([], {"a.service": ["reload"]})
    assert play(**plan) == nothing()


def test_a_failed_daemon_reload_has_no_journal(host: Host, play: Play) -> None:
    host.refuse[("systemctl", "daemon-reload")] = "no"
    assert play(files=[file(UNIT)])["msg"] == "systemctl daemon-reload failed and stays due for the next run:\nno"


def test_a_unit_that_does_not_stay_up_is_an_error(host: Host, play: Play) -> None:
    host.dying.add("a.service")
    result = play(units=[{"name": "a.service"}])
    assert result["msg"] == "a.service did not stay up after enable and start:\nthe journal"


def test_sysusers_that_refuses_stays_pending(host: Host, play: Play) -> None:
    host.refuse[("systemd-sysusers",)] = "bad line"
    plan = {"files": [file("/etc/sysusers.d/shop.conf")]}
    assert play(**plan)["msg"] == "systemd-sysusers refused /etc/sysusers.d/shop.conf: bad line"
    host.refuse.clear()
    play(**plan)
    assert host.actions() == ["systemd-sysusers /etc/sysusers.d/shop.conf"]
    assert play(**plan) == nothing()


def test_packages_that_cannot_be_had_count_as_a_change_and_are_asked_for_again(host: Host, play: Play) -> None:
    play.on_module = lambda step, args: {"failed": True, "msg": "no", "stderr": " E: shop "} if "apt" in step else None
    result = play(packages=["shop"])
    assert (result["msg"], result["changed"], result["module_runs"]) == ("no\nE: shop", True, 3)
    play.on_module = lambda step, args: None
    host.packages["shop"] = "1"  # somebody else was faster, but our restart is still due
    host.package_files["shop"] = ["/usr/lib/shop/x.so"]
    host.units["a.service"] = {"ActiveState": "active", "UnitFileState": "enabled"}
    plan = {"packages": ["shop"], "units": [{"name": "a.service", "restart_on": ["/usr/lib/shop/*"]}]}
    assert play(**plan)["units"] == {"a.service": ["restart"]}
    assert play(**plan) == nothing()


def test_packages_that_arrive_between_probe_and_prepare_are_not_installed(host: Host, play: Play) -> None:
    def arrive(step: str, args: dict) -> None:
        if step == "prepare":
            host.packages["shop"] = "1"

    play.on_module = arrive
    assert play(packages=["shop"])["packages"] == []
    assert play.steps() == ["probe", "prepare", "apply"]


def test_a_file_that_changes_after_the_probe_is_sent_after_all(host: Host, play: Play) -> None:
    plan = {"files": [file("/etc/a"), file("/etc/b")]}
    play(**plan)
    host.put("/etc/a", "x")
    play.on_module = lambda step, args: host.put("/etc/b", "y") if step == "apply" else None
    assert play(**plan)["files"] == ["/etc/a", "/etc/b"]
    assert play.steps() == ["probe", "apply", "apply"]
    play.on_module = lambda step, args: {"report": {"lacking": ["/etc/b"]}} if step == "apply" else None
    host.put("/etc/a", "x")
    sentence = "shop: files change on the host while this runs (/etc/a, /etc/b, /etc/b, /etc/b): end what writes them."
    assert play(**plan)["msg"] == sentence


def test_a_damaged_mark_is_named(host: Host, play: Play) -> None:
    host.put("/var/lib/asgi-production/shop.json", "{")
    assert play(files=[file(SHOP)])["msg"] == (
        "/var/lib/asgi-production/shop.json is damaged: "
        "restore it, or remove it and run again (what it listed then stays)."
    )


# -- a run that is killed

FIRST = {
    "files": [
        file("/etc/sysusers.d/old.conf"),
        file(SHOP, "one\n"),
        file("/etc/shop/old", "one\n"),
        file("/etc/gone/deep/old", "one\n"),
        file("/etc/stranger", "ours\n"),
        file("/etc/systemd/system/old.service", "[Service]\n"),
    ],
    "units": [{"name": "old.service"}, {"name": "shop.service", "reload_on": ["/etc/shop/*"]}],
}
SECOND = {
    "packages": ["shop"],
    "files": [
        file("/etc/apt/sources.list.d/shop.sources"),
        file("/etc/sysusers.d/shop.conf"),
        folder("/etc/shop", mode="0750"),
        file(SHOP, "two\n", mode="0600"),
        file("/etc/new/deep/file", "two\n"),
        file("/etc/second", "ours\n"),
        {"dest": "/etc/shop/link", "state": "link", "src": "shop.conf"},
        {"dest": "/etc/default", "state": "absent"},
        file(UNIT, "[Service]\n"),
    ],
    "check": ["checker"],
    "units": [{"name": "shop.service", "restart_on": [UNIT], "reload_on": ["/etc/shop/*"]}],
}


def before_the_second(play: Play, host: Host) -> None:
    for name in ("/etc/stranger", "/etc/second", "/etc/default"):
        host.put(name, "a stranger's\n")
    play(**FIRST)


class Killer:
    """Ends a run at its n-th step that can be seen from outside."""

    STEPS = ("rename", "unlink", "symlink", "mkdir", "rmdir", "chown", "chmod", "fsync", "fchmod")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, host: Host, number: int) -> None:
        self.left = number
        for name in self.STEPS:
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))
        monkeypatch.setattr(host, "run", self.counted(host.run))

    def counted(self, function: t.Callable) -> t.Callable:
        def call(*args: t.Any, **more: t.Any) -> t.Any:
            self.left -= 1
            if self.left == 0:
                raise KilledError
            return function(*args, **more)

        return call


def test_killed_at_any_step_the_next_run_finishes_and_the_third_is_ok(
    play: Play, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The view is a child process of its own: here it sees nothing and changes nothing.
    monkeypatch.setattr(half, "in_private_view", lambda run, paths, change, then: then())
    before_the_second(play, host)
    play(**SECOND)
    wanted, units = host.tree(), host.units
    assert wanted["etc/stranger"][0] == "a stranger's\n"
    assert not any("deep/old" in name or name.startswith("etc/gone") for name in wanted)
    number, killed = 0, True
    while killed:
        number += 1
        play.host = host = Host(tmp_path / str(number))
        before_the_second(play, host)
        with monkeypatch.context() as patch:
            Killer(patch, host, number)
            try:
                play(**SECOND)
                killed = False
            except KilledError:
                pass
        result = play(**SECOND)
        assert not result.get("failed"), (number, result)
        assert play(**SECOND) == nothing(), number
        assert host.tree() == wanted, number
        assert host.units == units, number
    assert number > 100


# -- what is remembered


def test_what_is_no_longer_declared_goes_and_strangers_come_back(host: Host, play: Play) -> None:
    host.put("/etc/shop/theirs", "theirs")
    host.put("/etc/ours", "stood here before")
    host.path("/etc/link").symlink_to("theirs")
    links = [{"dest": "/etc/link", "state": "link", "src": "ours"}]
    play(
        files=[
            file(SHOP),
            file("/etc/ours"),
            folder("/etc/made"),
            *links,
            {"dest": "/etc/shop/theirs", "state": "absent"},
        ]
    )
    assert not host.path("/etc/shop/theirs").exists()
    result = play(files=[file("/etc/other")])
    assert sorted(result["removed"]) == ["/etc/link", "/etc/made", "/etc/ours", SHOP, "/etc/shop/theirs"]
    assert (host.text("/etc/ours"), host.text("/etc/shop/theirs")) == ("stood here before", "theirs")
    assert os.readlink(host.path("/etc/link")) == "theirs"
    assert not host.path("/etc/made").exists()
    assert not list(host.path("/var/lib/asgi-production/.saved").rglob("*.conf"))


def test_folders_that_others_use_or_made_stay(host: Host, play: Play) -> None:
    host.path("/etc/theirs").mkdir()
    play(files=[folder("/etc/theirs"), file("/etc/made/deep/one"), folder("/etc/ours")])
    host.put("/etc/made/two", "a stranger's")
    result = play(files=[file("/etc/keep")])
    assert "/etc/theirs" not in result["removed"]
    assert host.path("/etc/theirs").is_dir()
    assert host.text("/etc/made/two") == "a stranger's"
    assert not host.path("/etc/made/deep").exists()
    assert not host.path("/etc/ours").exists()


def test_a_folder_is_remembered_until_nothing_declared_is_in_it(host: Host, play: Play) -> None:
    play(files=[folder("/etc/made"), file("/etc/made/file")])
    play(files=[file("/etc/made/file")])
    assert play(files=[file("/etc/made/file")]) == nothing()
    play(files=[file("/etc/keep")])
    assert not host.path("/etc/made").exists()
    play(files=[file("/etc/parent/file")])
    play(files=[folder("/etc/parent")])
    assert play(files=[folder("/etc/parent")]) == nothing()
    play(state="absent")
    assert not host.path("/etc/parent").exists()


def test_state_absent_undoes_all_of_it_but_packages(host: Host, play: Play) -> None:
    host.packages = {"shop": "1", "extra": "2"}
    host.put("/etc/shop/default", "a stranger")
    host.units["other.service"] = {"ActiveState": "active"}
    before = host.tree()
    play(**full())
    result = play(state="absent", **{key: value for key, value in full().items() if key != "check"})
    assert SHOP in result["removed"]
    assert host.actions()[0] == "systemctl disable --now -- shop.service"
    after = host.tree()
    assert after.pop("etc/shop") == ("folder", "0o40750")  # a mode is not remembered
    before.pop("etc/shop")
    assert after == before
    assert host.mark() == {}
    assert play(state="absent") == nothing()


def test_two_ids_do_not_share_a_file(host: Host, play: Play) -> None:
    play(id="app/one", files=[file(SHOP), folder("/etc/shared")])
    assert play(files=[file(SHOP)])["msg"] == (
        f"{SHOP} belongs to app/one, so shop can't declare it too: choose another path."
    )
    play(files=[folder("/etc/shared"), file("/etc/shared/file")])
    play(id="app/one", state="absent")
    assert host.path("/etc/shared/file").exists()
    assert play(files=[folder("/etc/shared"), file("/etc/shared/file")]) == nothing()


def test_a_file_that_another_id_has_taken_over_is_left_to_it(host: Host, play: Play) -> None:
    play(files=[file(SHOP), file("/etc/a")])
    mark = {"files": {str(host.path(SHOP)): {"kind": "file", "saved": False, "made": True}}}
    host.put("/var/lib/asgi-production/other.json", json.dumps(mark))
    assert play(files=[file("/etc/a")])["removed"] == ["/etc/shop"]  # as far as it is empty
    assert host.path(SHOP).exists()


def test_a_retired_unit_is_stopped_while_its_file_is_there(host: Host, play: Play) -> None:
    play(files=[file(UNIT)], units=[{"name": "shop.service"}])
    result = play(files=[file("/etc/a")])
    assert host.actions() == ["systemctl disable --now -- shop.service", "systemctl daemon-reload"]
    assert UNIT in result["removed"]


# -- differences of single paths


def test_modes_owners_types_and_targets_are_kept_right(host: Host, play: Play) -> None:
    plan = {
        "files": [file(SHOP), file("/etc/typed"), folder("/etc/dir"), {"dest": "/etc/l", "state": "link", "src": "a"}]
    }
    play(**plan)
    host.path(SHOP).chmod(0o600)
    host.path("/etc/dir").chmod(0o700)
    for name in ("/etc/typed", "/etc/l"):
        host.path(name).unlink()
    host.path("/etc/typed").symlink_to("elsewhere")
    host.put("/etc/l", "a file")
    result = play(diff=True, **plan)
    assert result["files"] == ["/etc/dir", "/etc/l", SHOP, "/etc/typed"]
    for line in (f"{SHOP} (mode)", "/etc/dir (mode)", "/etc/typed (type)", "/etc/l (target)"):
        assert f"web1: shop: {line}" in play.lines
    diff = {entry["before_header"]: (entry["before"], entry["after"]) for entry in result["diff"]}
    assert diff["/etc/typed"] == ("link to elsewhere\n", "text\n")
    assert diff["/etc/l"] == ("a file", "link to a\n")
    assert diff["/etc/dir"] == ("", "")
    assert play(**plan) == nothing()


@pytest.mark.parametrize(("state", "there"), [("file", "a folder"), ("directory", "no folder"), ("absent", "a folder")])
def test_a_folder_never_takes_the_place_of_a_file(host: Host, play: Play, state: str, there: str) -> None:
    if there == "a folder":
        host.path("/etc/x").mkdir()
    else:
        host.put("/etc/x", "")
    result = play(files=[{"dest": "/etc/x", "state": state, **ME}] if state != "file" else [file("/etc/x")])
    sentence = f"/etc/x is declared with state {state}, but what stands there is {there}: move it away."
    assert result["msg"] == sentence


# -- units


@pytest.mark.parametrize(
    ("unit", "found", "done"),
    [
        ({}, {"ActiveState": "inactive", "UnitFileState": "disabled"}, ["enable", "start"]),
        ({}, {"ActiveState": "failed", "UnitFileState": "enabled"}, ["start"]),
        ({}, {"ActiveState": "inactive", "UnitFileState": "static"}, ["start"]),
        ({}, {"ActiveState": "active", "UnitFileState": "enabled"}, []),
        ({"reload_on": ["/etc/*"]}, {"ActiveState": "active", "UnitFileState": "enabled"}, ["reload"]),
        (
            {"reload_on": ["/etc/*"], "restart_on": ["/etc/a"]},
            {"ActiveState": "active", "UnitFileState": "enabled"},
            ["restart"],
        ),
        ({"restart_on": ["/etc/b"]}, {"ActiveState": "active", "UnitFileState": "enabled"}, []),
        ({"enabled": None}, {"ActiveState": "active", "UnitFileState": "disabled"}, []),
        ({"enabled": False}, {"ActiveState": "active", "UnitFileState": "enabled"}, ["disable"]),
        ({"enabled": False}, {"ActiveState": "active", "UnitFileState": "static"}, []),
        (
            {"state": "stopped", "enabled": False},
            {"ActiveState": "active", "UnitFileState": "enabled"},
            ["disable", "stop"],
        ),
        ({"state": "stopped", "enabled": False}, {"ActiveState": "inactive", "UnitFileState": "disabled"}, []),
        ({"state": "unchanged", "restart_on": ["/etc/a"]}, {"ActiveState": "inactive", "UnitFileState": "enabled"}, []),
        ({"manage": False, "reload_on": ["/etc/a"]}, {"ActiveState": "active"}, ["reload"]),
        ({"manage": False, "reload_on": ["/etc/a"]}, {"ActiveState": "inactive"}, []),
        (
            {"restart_on": ["/etc/b"]},
            {"ActiveState": "inactive", "UnitFileState": "enabled", "ConditionResult": "no"}
            | {"ConditionTimestampMonotonic": "5"},
            [],
        ),
        (
            {"restart_on": ["/etc/a"]},
            {"ActiveState": "inactive", "UnitFileState": "enabled", "ConditionResult": "no"}
            | {"ConditionTimestampMonotonic": "5"},
            ["start"],
        ),
        (
            {},
            {"ActiveState": "inactive", "UnitFileState": "enabled", "ConditionResult": "no"}
            | {"ConditionTimestampMonotonic": "0"},
            ["start"],
        ),
    ],
)
def test_units(host: Host, play: Play, unit: dict, found: dict, done: list[str]) -> None:
    host.units["a.service"] = dict(found)
    result = play(files=[file("/etc/a")], units=[{"name": "a.service", **unit}])
    assert result["units"] == ({"a.service": done} if done else {})
    assert host.actions() == [f"systemctl {verb} a.service" for verb in done]


def test_a_unit_whose_condition_is_unmet_is_no_failure(host: Host, play: Play) -> None:
    unmet = {"ConditionResult": "no", "ConditionTimestampMonotonic": "7", "UnitFileState": "enabled"}
    host.units["a.service"] = {"ActiveState": "inactive", "UnitFileState": "enabled"}
    start = host.systemctl

    def systemctl(argv: list[str]) -> str:
        said = start(argv)
        if argv[1] == "start":
            host.units["a.service"] = {"ActiveState": "inactive", **unmet}
        return said

    host.systemctl = systemctl
    assert play(units=[{"name": "a.service"}])["units"] == {"a.service": ["start"]}
    assert play(units=[{"name": "a.service"}]) == nothing()


# -- packages


def test_pins_decide_the_version(host: Host, play: Play) -> None:
    host.packages = {"shop": "1"}
    assert play(packages=["shop=2"])["packages"] == ["shop=2"]
    assert host.packages == {"shop": "2"}
    assert play(packages=["shop=2"]) == nothing()
    assert not dict(play.modules).get("ansible.builtin.apt")


def test_fresh_lists_are_not_updated_and_sources_make_them_stale(host: Host, play: Play) -> None:
    play(packages=["one"])
    assert dict(play.modules)["ansible.builtin.apt"]["update_cache"] is False
    old = host.path("/var/lib/apt/lists")
    os.utime(old, (1, 1))
    play(packages=["one", "two"])
    assert dict(play.modules)["ansible.builtin.apt"]["update_cache"] is True
    os.utime(old)
    play(packages=["one", "two", "three"], files=[file("/etc/apt/sources.list.d/x.sources")])
    assert dict(play.modules)["ansible.builtin.apt"]["update_cache"] is True
    shutil.rmtree(old)
    play(packages=["one", "two", "three", "four"])
    assert dict(play.modules)["ansible.builtin.apt"]["update_cache"] is True


def test_an_interrupted_dpkg_is_repaired_first_and_no_daemon_starts(host: Host, play: Play) -> None:
    host.audit = "half configured"
    play(packages=["shop"])
    assert host.actions() == ["dpkg --force-confdef --force-confold --configure -a"]
    assert not host.path("/usr/sbin/policy-rc.d").exists()
    host.put("/usr/sbin/policy-rc.d", "a stranger's")
    host.put("/var/lib/dpkg/updates/0001", "")
    host.refuse[("dpkg", "--force-confdef")] = "it can't"
    sentence = "dpkg was interrupted on this host and dpkg --configure -a can't repair it: it can't"
    assert play(packages=["shop", "two"])["msg"] == sentence
    assert host.text("/usr/sbin/policy-rc.d") == "a stranger's"


# -- secrets


def test_secrets_are_shown_nowhere(host: Host, play: Play) -> None:
    secret = file("/etc/shop/secret", None, template="secret.j2", secret=True)
    result = play(diff=True, files=[secret])
    assert result["diff"][0]["after"] == "secret, changed\n"
    assert "hunter2" not in json.dumps(result)
    play.variables["password"] = "correct-horse-bad"
    result = play(diff=True, files=[secret], check=["checker"])
    assert result["msg"].endswith("secret: password = ********")
    play.variables["password"] = "correct-horse"
    result = play(diff=True, files=[secret])
    assert [(entry["before"], entry["after"]) for entry in result["diff"]] == [
        ("secret, not shown\n", "secret, changed\n")
    ]
    # Also when it is no longer declared, no longer secret, or removed.
    hidden = [("secret, not shown\n", "")]
    result = play(diff=True, files=[file("/etc/a")], check_mode=True)
    assert [(e["before"], e["after"]) for e in result["diff"] if e["before_header"] == "/etc/shop/secret"] == hidden
    result = play(diff=True, files=[file("/etc/shop/secret", "open\n")], check_mode=True)
    assert [entry["before"] for entry in result["diff"]] == ["secret, not shown\n"]
    play(state="absent")
    host.put("/etc/theirs", "hunter2hunter2")
    gone = {"dest": "/etc/theirs", "state": "absent", "secret": True}
    assert "hunter2" not in json.dumps(play(diff=True, files=[gone]))


# -- arguments


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"id": "Shop"}, "id is 'Shop': use lower-case letters, digits, '_', '.', '-', and '/' between parts."),
        ({"id": "a//b"}, "id is 'a//b': use"),
        ({"id": "../b"}, r"id is '../b': use"),
        ({"files": [{"dest": "etc/x"}]}, "files: dest is 'etc/x': give an absolute path"),
        ({"files": [{"dest": "//etc/x"}]}, "files: dest is '//etc/x': give an absolute path"),
        ({"files": [{"dest": "/etc/../x"}]}, "files: dest is '/etc/../x': give an absolute path"),
        ({"files": [{"dest": "/etc/x/"}]}, "files: dest is '/etc/x/': give an absolute path"),
        (
            {"files": [{"dest": "/"}]},
            "files: dest is '/': give an absolute path without '..', '//' or a '/' at its end.",
        ),
        ({"files": [file("/etc/x"), file("/etc/x")]}, "files: /etc/x is declared twice: keep one of them."),
        ({"files": [{"dest": "/x", "state": "link"}]}, "files: /x: src goes with state link, and only with it."),
        ({"files": [file("/x", src="/y")]}, "files: /x: src goes with state link, and only with it."),
        ({"files": [folder("/x", content="y")]}, "files: /x: template and content go with state file."),
        ({"files": [folder("/x", template="y")]}, "files: /x: template and content go with state file."),
        ({"files": [file("/x", template="y")]}, "files: /x: give template or content, not both."),
        ({"files": [file("/x", vars={"a": 1})]}, "files: /x: vars go with a template."),
        ({"files": [folder("/x", vars={"a": 1})]}, "files: /x: vars go with a template."),
        ({"files": [file("/x", mode="u=rw")]}, "mode is 'u=rw': give an octal number in quotes, such as \"0640\"."),
        ({"units": [{"name": "nginx"}]}, "units: name is 'nginx': give the whole name, such as nginx.service."),
        ({"units": [{"name": "a b.service"}]}, "units: name is 'a b.service': give the whole name"),
        ({"files": [{"dest": "/x", "sate": "file"}]}, "sate"),
        ({"state": "gone"}, "state"),
        ({"files": [{"state": "file"}]}, "dest"),
    ],
)
def test_mistakes_are_named_before_the_host_is_asked(play: Play, args: dict, sentence: str) -> None:
    with pytest.raises((AnsibleActionFail, AnsibleError)) as error:
        play(**args)
    assert sentence in str(error.value)
    assert play.modules == []


def test_a_host_without_systemd_is_asked_in_check_mode_too(host: Host, play: Play) -> None:
    host.refuse[("systemctl",)] = "systemctl: no such program"
    assert play(check_mode=True, units=[{"name": "a.service"}])["units"] == {"a.service": ["enable", "start"]}
