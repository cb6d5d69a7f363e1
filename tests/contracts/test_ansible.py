"""The playbooks' contracts: lint, argument specifications, documented variables, messages of the preflight checks."""

from __future__ import annotations

import json
import re
import runpy
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from poseparity.settings import Settings
from tests.e2e.playbooks import ANSIBLE, CONTROLLER, OWN, PORT, ROOT, playbook, run

# Ansible finds a role's modules by their place; so do we.
judge = runpy.run_path(str(ANSIBLE / "roles/preflight/library/poseparity_address.py"))["judge"]

PLAYBOOKS = sorted(path.stem for path in ANSIBLE.glob("*.yml"))
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())
PUBLIC = ANSIBLE / "group_vars/all/main.yml"
WIRING = ANSIBLE / "group_vars/all/roles.yml"


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8")) or {}


def options_of(role: str) -> dict[str, dict]:
    specs = load(ANSIBLE / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    return specs["main"].get("options", {})


def defaults_of(role: str) -> dict:
    path = ANSIBLE / "roles" / role / "defaults/main.yml"
    return load(path) if path.exists() else {}


def source_files() -> list[Path]:
    files = [path for path in ANSIBLE.rglob("*") if path.suffix in {".yml", ".md", ".py"}]
    return [*files, ROOT / "scripts/deploy"]


# --- lint and syntax ---


@pytest.mark.slow
def test_ansible_lint_passes_in_its_strictest_profile():
    result = run([ROOT / ".venv/dev/bin/ansible-lint", "--nocolor"], folder=ANSIBLE)
    assert result.status == 0, result.output


def test_no_lint_rule_is_skipped():
    config = load(ANSIBLE / ".ansible-lint")
    assert config["profile"] == "production"
    assert not {"skip_list", "warn_list", "exclude_paths"} & config.keys()
    assert not [path for path in ANSIBLE.rglob("*.yml") if "# noqa" in path.read_text("utf-8")]
    assert not list(ROOT.rglob("ansible/.ansible-lint-ignore"))


def test_syntax():
    """Of all in one call: Ansible's start takes longer than a playbook."""
    files = [f"{name}.yml" for name in PLAYBOOKS]
    result = run([CONTROLLER / "bin/ansible-playbook", "--syntax-check", *files], folder=ANSIBLE)
    assert result.status == 0, result.output
    assert re.findall(r"^playbook: (\S+)$", result.output, re.MULTILINE) == files


# --- argument specifications ---


@pytest.mark.parametrize("role", ROLES)
def test_each_role_states_its_contract(role):
    options, defaults = options_of(role), defaults_of(role)
    assert all(name.startswith(f"{role}_") for name in options | defaults)
    assert {name: option["default"] for name, option in options.items() if not option.get("required")} == defaults
    assert all(option["description"] and option["type"] for option in options.values())


@pytest.mark.parametrize("role", ROLES)
def test_each_variable_that_a_role_reads_is_in_its_contract(role):
    files = [path for path in (ANSIBLE / "roles" / role).rglob("*.yml") if path.parent.name in {"tasks", "vars"}]
    read = {name for path in files for name in re.findall(rf"\b{role}_[a-z0-9_]+\b", path.read_text("utf-8"))}
    assert read == set(options_of(role))


@pytest.mark.parametrize("role", ROLES)
def test_main_only_dispatches(role):
    tasks = yaml.safe_load((ANSIBLE / "roles" / role / "tasks/main.yml").read_text("utf-8"))
    modules = {key for task in tasks for key in task if "." in key}
    assert modules <= {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}


# --- variables ---


def test_every_public_variable_is_described():
    lines = PUBLIC.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"poseparity_\w+:", line):
            block = lines[:number][::-1]
            above = next((text for text in block if not text.startswith("poseparity_")), "")
            assert above.startswith("# ") and not above.startswith("# ---"), f"{line} has no description above it"


def test_every_public_variable_has_the_prefix_and_is_used():
    wiring = "".join(path.read_text("utf-8") for path in ANSIBLE.rglob("*.yml") if path != PUBLIC)
    for name in load(PUBLIC):
        assert name.startswith("poseparity_")
        assert name in wiring, f"{name} does nothing"


def test_no_mentioned_variable_is_misspelt():
    modules = {path.stem for path in ANSIBLE.glob("roles/*/library/*.py")}
    for path in source_files():
        mentioned = set(re.findall(r"(?<![\w.])poseparity_[a-z0-9_]+\b(?!\.py)", path.read_text("utf-8")))
        unknown = mentioned - load(PUBLIC).keys() - modules - {"poseparity_servers"}
        assert not unknown, f"{path.relative_to(ROOT)} names {unknown}"


def test_every_wired_variable_is_a_role_s_option():
    options = {name for role in ROLES for name in options_of(role)}
    assert {name for name in load(WIRING) if not name.startswith("__")} <= options


# --- the preflight checks ---


@dataclass(frozen=True)
class Refusal:
    """Variables of one server, and what the message says that refuses them."""

    variables: dict[str, object]
    says: tuple[str, ...]


def settings(**values: object) -> dict[str, object]:
    return {"poseparity_settings": values}


def not_an_address(address: str) -> Refusal:
    """Docker opens the port on every address where it cannot read the one that it is given."""
    return Refusal({"poseparity_bind_address": address}, (f"{address} is no IPv4 or IPv6 address",))


NO_SOCKET = {"poseparity_docker_socket": "/nonexistent.sock"}
REFUSALS = {
    "a misspelt variable": Refusal({"poseparity_prot": 1}, ("Unknown variable poseparity_prot", "poseparity_port")),
    "no prefix": Refusal({"port": 1}, ("Write poseparity_port",)),
    "two bundles": Refusal({"bundle": "/a", "poseparity_bundle": "/b"},
                           ("poseparity_bundle is /b and bundle is /a: expected one",)),
    "a port of letters": Refusal({"poseparity_port": "http"}, ("preflight_port",)),
    "a port out of range": Refusal({"poseparity_port": 70000}, ("from 1 to 65535",)),
    "an octet out of range": not_an_address("999.1.1.1"),
    "a name for an address": not_an_address("localhost"),
    "half an address": not_an_address("0"),
    "an address of nobody": Refusal({"poseparity_bind_address": "198.51.100.7"},
                                    ("198.51.100.7 is no address of this machine. Fix: use one of 127.0.0.1, ",)),
    "an IPv6 address of nobody": Refusal({"poseparity_bind_address": "2001:db8::7"},
                                         ("2001:db8::7 is no address of this machine",)),
    **{f"the name {name!r}": Refusal({"poseparity_container_name": name}, ("poseparity_container_name is",))
       for name in ("a/../b", "", "-a", "a b", "a" * 42)},
    "no level of a log": Refusal(settings(log_level="verbose"),
                                 ("POSEPARITY_LOG_LEVEL=", "are refused by the service")),
    "a negative number": Refusal(settings(max_frames=-3), ("POSEPARITY_MAX_FRAMES=", "are refused by the service")),
    "a word for a number": Refusal(settings(stall_timeout_s="soon"),
                                   ("POSEPARITY_STALL_TIMEOUT_S=", "are refused by the service")),
    "lanes below zero": Refusal({"poseparity_lanes": "-3"},
                                ("poseparity_lanes = -3 (expected a whole number from",)),
    "a variable of an earlier version": Refusal({"poseparity_workers": "2"},
                                                ("poseparity_workers lost its meaning. Set poseparity_lanes",)),
    "half a second": Refusal({"poseparity_ready_timeout_s": "1.5"},
                             ("poseparity_ready_timeout_s = 1.5 (expected a whole number from",)),
    "too little memory": Refusal({"poseparity_minimum_memory_mb": 99000000}, ("99000000 MB",)),
    "too many lanes": Refusal({"poseparity_lanes": 100000},
                              ("10001500 MB for 100000 lanes", "set poseparity_lanes to fewer")),
    "too little disk": Refusal({"poseparity_minimum_disk_mb": 999000000, **NO_SOCKET}, ("docker system df",)),
    "a processor that lacks something": Refusal({"preflight_cpu_flags": ["avx2", "no_such_flag"]},
                                                ("lacks no_such_flag", "Haswell")),
    "no engine": Refusal({**NO_SOCKET, "poseparity_install_docker": False}, ("poseparity_install_docker=true",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def refused(tmp_path_factory) -> dict[str, str]:
    """By refusal: the message of one preflight.yml over servers of which each has other variables."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "poseparity_port": PORT + 1}  # fmt: skip
    hosts = {f"host{number}": {**here, **refusal.variables} for number, refusal in enumerate(REFUSALS.values())}
    inventory = tmp_path_factory.mktemp("fleet") / "inventory.yml"
    inventory.write_text(json.dumps({"poseparity_servers": {"hosts": hosts}}), "utf-8")
    result = playbook("preflight", "-i", str(inventory), "--forks", "2")
    said = re.split(r"^(?:fatal: \[(\S+?)\]|TASK|PLAY|ok: |skipping: |included: )", result.output, flags=re.MULTILINE)
    messages = {host: " ".join(text.split()) for host, text in zip(said[1::2], said[2::2], strict=True) if host}
    return {name: messages.get(host, result.output) for name, host in zip(REFUSALS, hosts, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSALS)
def test_preflight_refuses(name, refused):
    assert all(words in refused[name] for words in REFUSALS[name].says), refused[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["build", "verify", "status", "destroy"])
def test_a_misspelt_variable_is_refused_by_each_playbook(name):
    result = playbook(name, "-e", "poseparity_prot=1")
    assert result.status != 0 and "Unknown variable poseparity_prot" in result.message, result.output


def test_each_setting_that_the_deployment_does_not_set_itself_may_be_given():
    settings = Settings.model_fields.keys()
    given = json.dumps({"poseparity_settings": dict.fromkeys([*settings, "no_such_setting"], 1)})
    message = playbook("preflight", "-e", given).message
    found, expected = re.search(r"poseparity_settings has (.*), expected only (.*)\. Correct", message).groups()
    own = {"bundle", "host", "port", "lanes"}
    assert set(found.split(", ")) == own | {"no_such_setting"}
    assert set(expected.split(", ")) == settings - own


@pytest.mark.slow
def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = playbook("preflight", "-e", f"poseparity_port={port}").message
    assert f"port {port} is in use on 127.0.0.1" in message and "poseparity_port" in message


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7", "0.0.0.0", "::", "::1"])
def test_an_address_of_this_machine_or_a_wildcard_is_taken(address):
    assert judge(address, PORT + 1, []) == ("", "")


def test_a_listener_on_another_address_is_in_the_way_of_a_wildcard_alone():
    with socket.create_server(("127.0.0.3", 0)) as listener:
        port = listener.getsockname()[1]
        assert judge("127.0.0.2", port, []) == ("", "")
        for address in ("127.0.0.3", "0.0.0.0"):
            assert judge(address, port, [])[0] == f"port {port} is in use on 127.0.0.3"
        assert judge("0.0.0.0", port, ["127.0.0.3"]) == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, inventory",
    [
        *(("deploy", each) for each in ("/dev/null", "/nonexistent", "localhost,")),
        *((each, "/dev/null") for each in ("preflight", "verify", "status", "destroy")),
    ],
)
def test_an_inventory_without_servers_is_refused(name, inventory):
    result = playbook(name, "-i", inventory)
    assert result.status != 0, result.output
    assert "the group poseparity_servers" in result.output or "parse inventory source /nonexistent" in result.output


@pytest.mark.docker
@pytest.mark.slow
def test_too_little_disk_for_the_environments_is_refused(tmp_path):
    first = ("-e", f"preflight_checkout={tmp_path}")
    message = playbook("preflight", "-e", "poseparity_minimum_disk_mb=999000000", *first).message
    assert f"free under {tmp_path}, expected at least 499500000 MB" in message


# --- check mode ---


@pytest.mark.slow
def test_check_mode_works_where_no_engine_is_there():
    result = playbook("deploy", "--check", *OWN, "-e", "poseparity_docker_socket=/nonexistent.sock")
    assert result.status == 0, result.output
