"""The playbooks' contracts: lint, argument specifications, documented variables, messages of the preflight checks."""

from __future__ import annotations

import json
import re
import runpy
import socket
from pathlib import Path

import pytest
import yaml

from poseparity.settings import Settings
from tests.e2e.playbooks import ANSIBLE, OWN, PORT, ROOT, playbook, run

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


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_syntax(name):
    result = playbook(name, "--syntax-check")
    assert result.status == 0, result.output


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


def refused(*options: str) -> str:
    result = playbook("preflight", *options)
    assert result.status != 0, result.output
    return result.message


def test_a_misspelt_variable_is_refused():
    message = refused("-e", "poseparity_prot=1")
    assert "Unknown variable poseparity_prot" in message and "poseparity_port" in message


def test_a_variable_without_the_prefix_is_refused():
    assert "Write poseparity_port" in refused("-e", "port=1")


def test_two_bundles_are_refused():
    message = refused("-e", "bundle=/a", "-e", "poseparity_bundle=/b")
    assert "poseparity_bundle is /b and bundle is /a: expected one" in message


@pytest.mark.parametrize("name", ["build", "verify", "status", "destroy"])
def test_a_misspelt_variable_is_refused_by_each_playbook(name):
    result = playbook(name, "-e", "poseparity_prot=1")
    assert result.status != 0 and "Unknown variable poseparity_prot" in result.message, result.output


def test_each_setting_that_the_deployment_does_not_set_itself_may_be_given():
    settings = Settings.model_fields.keys()
    message = refused("-e", json.dumps({"poseparity_settings": dict.fromkeys([*settings, "no_such_setting"], 1)}))
    found, expected = re.search(r"poseparity_settings has (.*), expected only (.*)\. Correct", message).groups()
    own = {"bundle", "host", "port", "workers"}
    assert set(found.split(", ")) == own | {"no_such_setting"}
    assert set(expected.split(", ")) == settings - own


@pytest.mark.slow
def test_a_value_of_the_wrong_type_is_refused():
    assert "preflight_port" in refused("-e", "poseparity_port=http")


@pytest.mark.slow
def test_a_port_out_of_range_is_refused():
    assert "from 1 to 65535" in refused("-e", "poseparity_port=70000")


def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = refused("-e", f"poseparity_port={port}")
    assert f"port {port} is in use on 127.0.0.1" in message and "poseparity_port" in message


@pytest.mark.parametrize(
    "address, found",
    [
        ("999.1.1.1", "999.1.1.1 is no IPv4 or IPv6 address"),
        ("localhost", "localhost is no IPv4 or IPv6 address"),
        ("0", "0 is no IPv4 or IPv6 address"),
        ("198.51.100.7", "198.51.100.7 is no address of this machine. Fix: use one of 127.0.0.1, "),
        ("2001:db8::7", "2001:db8::7 is no address of this machine"),
    ],
)
def test_an_address_that_is_not_this_machine_s_is_refused(address, found):
    """Docker opens the port on every address where it cannot read the one that it is given."""
    assert found in refused("-e", f"poseparity_bind_address={address}", "-e", f"poseparity_port={PORT + 1}")


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


@pytest.mark.parametrize("name", ["a/../b", "", "-a", "a b", "a" * 42])
def test_what_is_no_name_of_a_container_is_refused(name):
    assert "poseparity_container_name is" in refused("-e", json.dumps({"poseparity_container_name": name}))


@pytest.mark.parametrize(
    "setting, found",
    [
        ({"log_level": "verbose"}, "POSEPARITY_LOG_LEVEL="),
        ({"max_frames": -3}, "POSEPARITY_MAX_FRAMES="),
        ({"stall_timeout_s": "soon"}, "POSEPARITY_STALL_TIMEOUT_S="),
    ],
)
def test_a_value_that_the_service_would_refuse_is_refused_before_anything_changes(setting, found):
    message = refused("-e", json.dumps({"poseparity_settings": setting}), "-e", f"poseparity_port={PORT + 1}")
    assert found in message and "poseparity_settings of localhost are refused by the service" in message


@pytest.mark.parametrize("name, value", [("poseparity_workers", "-3"), ("poseparity_ready_timeout_s", "1.5")])
def test_a_number_that_is_out_of_range_is_refused(name, value):
    assert f"{name} = {value} (expected a whole number from" in refused("-e", f"{name}={value}")


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


@pytest.mark.slow
def test_too_little_memory_is_refused():
    assert "99000000 MB" in refused("-e", "poseparity_minimum_memory_mb=99000000")


@pytest.mark.slow
def test_more_workers_than_the_memory_holds_are_refused():
    message = refused("-e", "poseparity_workers=100000")
    assert "55000500 MB for 100000 workers" in message and "set poseparity_workers to fewer" in message


@pytest.mark.slow
def test_too_little_disk_is_refused():
    first = ("-e", "poseparity_docker_socket=/nonexistent.sock")
    assert "docker system df" in refused("-e", "poseparity_minimum_disk_mb=999000000", *first)


@pytest.mark.docker
@pytest.mark.slow
def test_too_little_disk_for_the_environments_is_refused(tmp_path):
    first = ("-e", f"preflight_checkout={tmp_path}")
    message = refused("-e", "poseparity_minimum_disk_mb=999000000", *first)
    assert f"free under {tmp_path}, expected at least 499500000 MB" in message


@pytest.mark.slow
def test_a_cpu_without_a_needed_feature_is_named():
    message = refused("-e", '{"preflight_cpu_flags": ["avx2", "no_such_flag"]}')
    assert "lacks no_such_flag" in message and "Haswell" in message


@pytest.mark.slow
def test_a_missing_engine_that_may_not_be_installed_is_refused():
    options = ("-e", "poseparity_docker_socket=/nonexistent.sock", "-e", "poseparity_install_docker=false")
    assert "poseparity_install_docker=true" in refused(*options)


# --- check mode ---


@pytest.mark.slow
def test_check_mode_works_where_no_engine_is_there():
    result = playbook("deploy", "--check", *OWN, "-e", "poseparity_docker_socket=/nonexistent.sock")
    assert result.status == 0, result.output
