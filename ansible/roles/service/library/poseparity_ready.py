"""Ansible module: wait until the service says that its models are loaded and warmed up.

`ansible.builtin.uri` with `until` does the same, but prints a line with FAILED for every second of waiting.
"""

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
"""

RETURN = """
ready: {description: Whether the service became ready in time, type: bool, returned: always}
last_answer: {description: What it answered last, type: str, returned: always}
"""


def ask(url: str) -> tuple:
    """Return (whether it is ready, what it answered)."""
    try:
        return True, open_url(f"{url}/readyz", timeout=5).read().decode()
    except HTTPError as error:
        return False, f"{error.code}: {error.read(500).decode(errors='replace').strip()}"
    except (URLError, OSError) as error:
        return False, str(error)


def wait(url: str, timeout: int) -> tuple:
    """Ask every half second until it is ready or the time is over."""
    end = time.monotonic() + timeout
    ready, answer = ask(url)
    while not ready and time.monotonic() < end:
        time.sleep(0.5)
        ready, answer = ask(url)
    return ready, answer


def main() -> None:
    module = AnsibleModule(
        argument_spec={"url": {"type": "str", "required": True}, "timeout": {"type": "int", "required": True}},
        supports_check_mode=True,
    )
    ready, answer = wait(**module.params)
    module.exit_json(changed=False, ready=ready, last_answer=answer)


if __name__ == "__main__":
    main()
