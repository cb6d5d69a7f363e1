"""Ansible module: whether a service can listen on an address and a port of this machine.

Docker does not say: where it cannot read an address, it opens the port on all of them.
"""

import errno
import ipaddress
import os
import re
import socket
from pathlib import Path

DOCUMENTATION = """
module: poseparity_address
short_description: Whether a service can listen on an address and a port of this machine
options:
  address: {description: IPv4 or IPv6 address or a wildcard, type: str, required: true}
  port: {description: TCP port, type: int, required: true}
  held: {description: Addresses on which our own deployment holds that port, type: list, elements: str, default: []}
"""

RETURN = """
problem: {description: What is wrong with the address, or who is in the way; empty where nothing is, type: str}
fix: {description: How to mend it, type: str}
"""

_LISTENS = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it


def parsed(text):
    """The address, or None where the text is none. Leading zeros and names are none: Docker takes neither."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_ours(address):
    """Whether a program may listen on the address: it is one of this machine's, or a wildcard."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError as error:
            return error.errno not in (errno.EADDRNOTAVAIL, errno.EINVAL, errno.EAFNOSUPPORT)
    return True


def own_addresses():
    """Addresses of this machine that are worth naming."""
    text = os.popen("ip -brief address 2>/dev/null || hostname -I").read()
    found = re.findall(r"(?<![\w:.])[0-9a-f]*[:.][0-9a-f:.]+(?=[\s/]|$)", text)
    return [each for each in dict.fromkeys(found) if parsed(each)]


def listeners(port):
    """The addresses on which somebody listens on the port."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net") / name)]
    local = [fields[1].split(":") for fields in lines if fields[3] == _LISTENS]
    return {_address(digits) for digits, its_port in local if int(its_port, 16) == port}


def _lines(path):
    return path.read_text("ascii").splitlines()[1:] if path.exists() else []


def _address(digits):
    """/proc/net/tcp writes words of 32 bits, each in the machine's byte order, which is x86-64's."""
    raw = b"".join(bytes.fromhex(digits[start : start + 8])[::-1] for start in range(0, len(digits), 8))
    address = ipaddress.ip_address(raw)
    return getattr(address, "ipv4_mapped", None) or address


def in_the_way(address, port, held):
    """The addresses of others' listeners that leave no room for one on this address."""
    others = listeners(port) - {parsed(each) for each in held}
    return sorted(str(each) for each in others if each == address or each.is_unspecified or address.is_unspecified)


def judge(address, port, held):
    """Return (problem, fix), both empty where there is none."""
    wanted = parsed(address)
    if wanted is None:
        return f"{address} is no IPv4 or IPv6 address", "write one, such as 127.0.0.1 or 0.0.0.0; a name is none"
    if not is_ours(wanted):
        return f"{address} is no address of this machine", f"use one of {', '.join(own_addresses())}, 0.0.0.0 or ::"
    found = in_the_way(wanted, port, held)
    if found:
        return f"port {port} is in use on {', '.join(found)}", "stop it or choose another port"
    return "", ""


def main():
    # Here: it patches Python itself, and the tests ask `judge` in their own process.
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "held": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    problem, fix = judge(**module.params)
    module.exit_json(changed=False, problem=problem, fix=fix)


if __name__ == "__main__":
    main()
