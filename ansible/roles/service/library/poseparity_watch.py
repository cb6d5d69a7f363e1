"""Ansible module: ask the service every half second for a while; fail when it stops answering that it is ready."""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = """
module: poseparity_watch
short_description: Watch the service for a while
options:
  url: {description: The service's address, type: str, required: true}
  seconds: {description: For how long, type: int, required: true}
"""

RETURN = """
asked: {description: How many times it was asked, type: int, returned: success}
"""

_IN_A_ROW = 3  # a single answer may be late on a busy machine


def problem_with(url):
    """What is wrong with its answer, or None."""
    try:
        # The machine asks itself, so whose name a certificate has says nothing.
        open_url(f"{url}/readyz", timeout=5, validate_certs=False).read()
    except OSError as error:
        return str(error)
    return None


def watch(url, seconds):
    """Return (how often it was asked, the last problem where there were several in a row)."""
    end, asked, in_a_row = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        asked, problem = asked + 1, problem_with(url)
        in_a_row = in_a_row + 1 if problem else 0
        if in_a_row == _IN_A_ROW:
            return asked, problem
        time.sleep(0.5)
    return asked, None


def main():
    module = AnsibleModule(
        argument_spec={"url": {"type": "str", "required": True}, "seconds": {"type": "int", "required": True}},
        supports_check_mode=True,
    )
    asked, problem = watch(**module.params)
    if problem:
        module.fail_json(msg=f"{module.params['url']} was ready, and stopped being so: {problem}")
    module.exit_json(changed=False, asked=asked)


if __name__ == "__main__":
    main()
