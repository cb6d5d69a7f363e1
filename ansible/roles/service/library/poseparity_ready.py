"""Ansible module: wait until the service says that its models are loaded and warmed up.

`ansible.builtin.uri` with `until` does the same, but prints a line with FAILED for every second of waiting.
"""

import json
import subprocess
import time
from urllib.error import HTTPError, URLError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = """
module: poseparity_ready
short_description: Wait until the service is ready
options:
  url: {description: The service's address, type: str, required: true}
  timeout: {description: Seconds to wait, type: int, required: true}
  docker: {description: Command line of Docker's client, type: list, elements: str, default: []}
  container: {description: Its container; where that ends there is nothing to wait for, type: str, default: ""}
"""

RETURN = """
ready: {description: Whether the service became ready in time, type: bool, returned: always}
last_answer: {description: What it answered last, type: str, returned: always}
seconds: {description: How long that took, type: int, returned: always}
"""


class GaveUp(Exception):
    """The service says that it cannot load its models."""


def has_given_up(answer: str) -> bool:
    """Whether the service says that it is not ready, and not when to ask again: loading has failed."""
    try:
        error = json.loads(answer)["error"]
        return error["code"] == "not-ready" and "retry_after_s" not in error["details"]
    except (ValueError, KeyError, TypeError):
        return False


def ask(url: str) -> tuple:
    """Return (whether it is ready, what it answered), and raise GaveUp with the answer where it will never be."""
    try:
        return True, open_url(f"{url}/readyz", timeout=5, validate_certs=False).read().decode()
    except HTTPError as error:
        answer = error.read(2000).decode(errors="replace").strip()
        if has_given_up(answer):
            raise GaveUp(answer) from error
        return False, f"{error.code}: {answer[:500]}"
    except (URLError, OSError) as error:
        return False, str(error)


def has_ended(docker: list, container: str) -> bool:
    """Whether the container has ended; one that is not named has not."""
    if not container:
        return False
    command = [*docker, "inspect", "--format", "{{.State.Running}}", container]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip() == "false"


def wait(url: str, timeout: int, docker: list, container: str) -> tuple:
    """Ask every half second until it is ready, has ended, or the time is over."""
    end = time.monotonic() + timeout
    ready, answer = ask(url)
    while not ready and time.monotonic() < end and not has_ended(docker, container):
        time.sleep(0.5)
        ready, answer = ask(url)
    return ready, answer


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "timeout": {"type": "int", "required": True},
            "docker": {"type": "list", "elements": "str", "default": []},
            "container": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    began = time.monotonic()
    try:
        ready, answer = wait(**module.params)
    except GaveUp as error:
        ready, answer = False, str(error)
    module.exit_json(changed=False, ready=ready, last_answer=answer, seconds=round(time.monotonic() - began))


if __name__ == "__main__":
    main()
