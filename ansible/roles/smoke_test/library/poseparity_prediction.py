"""Ansible module: send a file to the service's POST /v1/predictions and return its answer.

`ansible.builtin.uri` cannot: it sends files in base64 or with changed line ends, and a video survives neither.
"""

import base64
import json
import time
import uuid
from urllib.error import HTTPError, URLError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = """
module: poseparity_prediction
short_description: Send a file to the service and return its answer
options:
  url: {description: The service's address, type: str, required: true}
  filename: {description: Name that the file is sent under, type: str, required: true}
  content: {description: The file, in base64, type: str, required: true}
  timeout: {description: Seconds to wait for the answer, type: int, default: 120}
"""

RETURN = """
answer: {description: The JSON answer, type: dict, returned: success}
seconds: {description: How long the answer took, type: float, returned: success}
"""


def multipart(filename: str, content: bytes) -> tuple:
    """Return (body, content type) of a form whose only field, `file`, holds the content unchanged."""
    boundary = uuid.uuid4().hex
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def send(url: str, filename: str, content: bytes, timeout: int) -> dict:
    """Return the service's answer; raises HTTPError (any status but 2xx) or URLError."""
    body, content_type = multipart(filename, content)
    response = open_url(
        f"{url}/v1/predictions",
        method="POST",
        data=body,
        headers={"Content-Type": content_type},
        timeout=timeout,
        validate_certs=False,  # the machine asks itself, so whose name a certificate has says nothing
    )
    return json.loads(response.read())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "filename": {"type": "str", "required": True},
            "content": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    options, started = module.params, time.monotonic()
    try:
        answer = send(options["url"], options["filename"], base64.b64decode(options["content"]), options["timeout"])
    except HTTPError as error:
        module.fail_json(msg=f"{options['url']} answered {error.code}: {error.read(2000).decode(errors='replace')}")
    except (URLError, OSError) as error:
        module.fail_json(msg=f"{options['url']} does not answer: {error}")
    module.exit_json(changed=False, answer=answer, seconds=round(time.monotonic() - started, 2))


if __name__ == "__main__":
    main()
