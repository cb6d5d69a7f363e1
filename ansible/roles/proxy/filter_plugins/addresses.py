"""Ansible filters: the names of a certificate, and the fixed addresses between the proxy and the service."""

import ipaddress

_PLACES = {"proxy": 2, "blue": 3, "green": 4}  # the first belongs to the server


def fixed_addresses(subnet):
    """Return name to address. Fixed ones stay what they are when a container or the machine starts again."""
    network = ipaddress.ip_network(subnet)
    return {name: str(network[place]) for name, place in _PLACES.items()}


def certificate_names(host, bind_address):
    """Return whom a certificate is for, as OpenSSL writes it: the server's name and what its port is opened on."""
    wanted = [host, "localhost", "127.0.0.1", "::1", bind_address]
    named = [f"{'IP' if _is_address(each) else 'DNS'}:{each}" for each in wanted if each not in ("0.0.0.0", "::")]
    return ",".join(dict.fromkeys(named))


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class FilterModule:
    """Ansible's way to find the filters."""

    def filters(self):
        return {"certificate_names": certificate_names, "fixed_addresses": fixed_addresses}
