# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of tools/specs.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

TOOL = Path(__file__).resolve().parents[3] / "tools" / "specs.py"
_spec = importlib.util.spec_from_file_location("tool_specs", TOOL)
specs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(specs)

OPTIONS = {
    "web_port": {"type": "int", "default": 80, "description": "The port. Above 1023 it needs no rights."},
    "web_user": {"type": "str", "default": "{{ stack_nginx_user | default('www-data') }}", "description": "The user."},
    "web_mode": {"type": "str", "default": "0644", "choices": ["0644", "0600"], "description": "The mode."},
    "web_empty": {"type": "list", "elements": "str", "default": [], "description": ["First.", "Second, e.g. this."]},
    "web_key": {"type": "str", "required": True, "no_log": True, "description": "The V(secret) a|b."},
    "web_optional": {"type": "str", "description": "Not set, no default."},
    "web_sites": {
        "type": "list",
        "elements": "dict",
        "default": [{"name": "one", "tags": ["a", "b"]}],
        "description": "The sites.",
        "options": {"name": {"type": "str", "required": True, "description": "Its name <here>."}},
    },
    "web_long": {
        "type": "str",
        "default": "{{ " + " + ".join(f"web_port_number_{n}" for n in range(12)) + " }}",
        "description": "A long one.",
    },
    "web_lines": {"type": "str", "default": "a: 1\nb: 2\n", "description": "Lines of V(text)."},
}
ENTRY = {"short_description": "A web server", "description": ["It serves.", "Really."], "options": OPTIONS}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a tree with one role."""
    meta = tmp_path / "roles" / "web" / "meta"
    meta.mkdir(parents=True)
    (meta / "argument_specs.yml").write_text(yaml.safe_dump({"argument_specs": {"main": ENTRY}}, sort_keys=False))
    tasks = tmp_path / "roles" / "web" / "tasks"
    tasks.mkdir()
    units = [{"name": "web.service", "restart_on": "/etc/web.conf", "reload_on": ["/etc/web.d/*", "/etc/b"]}]
    task = {"name": "Converge", "asgi.production.converge": {"id": "web", "units": units}}
    (tasks / "main.yml").write_text(yaml.safe_dump([{"name": "A block", "block": [task, {"meta": "noop"}]}]))
    return tmp_path


def test_defaults_mean_what_the_spec_says() -> None:
    text = specs.defaults_text(ENTRY)
    expected = {name: option["default"] for name, option in OPTIONS.items() if "default" in option}
    assert yaml.safe_load(text) == expected
    assert "# The port.\nweb_port: 80\n" in text
    assert """web_user: "{{ stack_nginx_user | default('www-data') }}\"""" in text
    assert "web_mode: '0644'" in text
    assert "web_sites:\n  - name: one\n    tags:\n      - a\n" in text
    assert "web_long: >-\n" in text
    assert "# Lines of text.\nweb_lines: |\n" in text
    assert max(len(line) for line in text.splitlines()) <= 130


def test_no_defaults_at_all() -> None:
    assert yaml.safe_load(specs.defaults_text({"options": {}})) is None


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("Version 1.2 is e.g. Fine. Two.", "Version 1.2 is e.g. Fine."),
        ("No stop", "No stop"),
        (["List. Of.", "More."], "List."),
        ("Read /etc/x.conf and go. Yes.", "Read /etc/x.conf and go."),
    ],
)
def test_first_sentence(text: str | list[str], first: str) -> None:
    assert specs.first_sentence(text) == first


def test_yaml_that_would_lie_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specs.yaml, "dump", lambda *_args, **_kwargs: "other")
    with pytest.raises(ValueError, match="cannot write"):
        specs.to_yaml({"a": 1})


@pytest.mark.parametrize(
    "value", ['say "{{ x }}"', "{{ x | regex_replace('\\\\d', '') }}", "yes", "", None, {}, "a  b " * 30]
)
def test_yaml_round_trip(value: object) -> None:
    assert yaml.safe_load(specs.to_yaml({"key": value})) == {"key": value}


def test_table() -> None:
    rows = specs.table(ENTRY).splitlines()
    assert "| `web_user` | str | `{{ stack_nginx_user \\| default('www-data') }}` | The user. |" in rows
    assert "| `web_key` | str | **required** | The `secret` a\\|b. Secret. |" in rows
    assert "| `web_sites[].name` | str | **required** | Its name &lt;here>. |" in rows
    assert "| `web_empty` | list of str | `[]` | First. Second, e.g. this. |" in rows
    assert "| `web_mode` | str | `0644` | The mode. One of `0644`, `0600`. |" in rows
    assert "| `web_optional` | str |  | Not set, no default. |" in rows
    assert "see [defaults](defaults/main.yml)" in next(row for row in rows if "web_long" in row)
    assert specs.table({"options": {}}) == "This role has no variables.\n"
    assert specs.default_text("x", {"default": ""}) == '`""`'
    assert specs.default_text("x", {"default": True}) == "`true`"


def test_markdown() -> None:
    text = specs.markdown("B(bold) I(it) C(code) L(here, https://x.example) U(https://y.example)")
    assert text == "**bold** *it* `code` [here](https://x.example) <https://y.example>"


def test_example_is_a_play_or_the_specs_own() -> None:
    play = yaml.safe_load(specs.example("web", ENTRY).removeprefix("```yaml\n").removesuffix("```\n"))
    assert play[0]["roles"] == [{"role": "asgi.production.web", "vars": {"web_key": "{{ vault_web_key }}"}}]
    assert specs.example("web", {"options": {}, "examples": "- own"}) == "```yaml\n- own\n```\n"
    assert specs.example("web", {"examples": [{"a": 1}]}) == "```yaml\n- a: 1\n```\n"
    assert "vars" not in specs.example("web", {"options": {}})


def test_write_then_check_then_drift(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert specs.main(["--check"], root) == 1
    assert specs.main([], root) == 0
    assert specs.main(["--check"], root) == 0
    readme = root / "roles" / "web" / "README.md"
    assert "| `web.service` | `/etc/web.conf` | `/etc/web.d/*`, `/etc/b` |" in readme.read_text()
    readme.write_text(readme.read_text().replace("changes nothing", "by hand"))
    assert specs.main(["web"], root) == 0
    assert "by hand" in readme.read_text()
    defaults = root / "roles" / "web" / "defaults" / "main.yml"
    defaults.write_text(defaults.read_text().replace("web_port: 80", "web_port: 81"))
    capsys.readouterr()
    assert specs.main(["--check"], root) == 1
    shown = capsys.readouterr().out
    assert "-web_port: 81\n" in shown
    assert "+web_port: 80\n" in shown
    assert specs.main(["--check", "other"], root) == 0


def test_marker_lost_is_an_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "roles" / "web" / "README.md").write_text("# by hand\n")
    assert specs.main([], root) == 1
    assert "markers" in capsys.readouterr().err


def test_a_role_without_units(root: Path) -> None:
    assert "No unit" in specs.restarts(root / "roles" / "none")


def test_every_fault_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {
        "other_x": {"type": "str", "description": "Prefix."},
        "web_a": {"type": "str"},
        "web_b": {"type": "str", "description": "No stop"},
        "web_c": {"description": "No type."},
        "web_d": {"type": "list", "description": "No elements."},
        "web_e": {"type": "str", "description": "Both.", "required": True, "default": "x"},
        "web_f": {"type": "str", "description": "Secret.", "no_log": True, "default": "x"},
        "web_g": {"type": "list", "elements": "str", "description": "Url.", "no_log": True, "default": ["{{ x }}"]},
    }
    path = root / "roles" / "web" / "meta" / "argument_specs.yml"
    path.write_text(yaml.safe_dump({"argument_specs": {"main": {"options": bad}}}))
    assert specs.main([], root) == 1
    message = capsys.readouterr().err
    for text in (
        "main has no short_description",
        "main has no description",
        "other_x does not start with web_",
        "web_a has no description",
        "web_b has a description without a full stop",
        "web_c has no type",
        "web_d is a list without",
        "web_e is required and has a default",
        "web_f is a secret and has a default",
        "web_g is a secret whose default is shown by errors: tag it with !unsafe",
    ):
        assert text in message
    path.write_text("argument_specs: {}\n")
    assert specs.main([], root) == 1
    path.unlink()
    assert specs.main([], root) == 1


def test_a_secret_default_is_rendered_in_the_defaults_and_not_in_the_spec(root: Path) -> None:
    path = root / "roles" / "web" / "meta" / "argument_specs.yml"
    text = yaml.safe_dump({"argument_specs": {"main": ENTRY}}, sort_keys=False)
    option = """
      web_url:
        type: str
        no_log: true
        description: Where to.
        default: !unsafe "{{ user }}:{{ password }}"
      web_urls:
        type: list
        elements: dict
        no_log: true
        description: More of them.
        default: [{url: !unsafe "{{ web_url }}"}]
"""
    head, _word, rest = text.partition("    options:\n")
    path.write_text(head + "    options:" + option + rest)
    assert specs.main([], root) == 0
    defaults = yaml.safe_load((root / "roles" / "web" / "defaults" / "main.yml").read_text())
    assert defaults["web_url"] == "{{ user }}:{{ password }}"
    assert defaults["web_urls"] == [{"url": "{{ web_url }}"}]
