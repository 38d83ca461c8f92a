"""Which hosts are this machine, and the names that its servers answer to."""

from __future__ import annotations

import ipaddress
from typing import Final

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def is_this_machine(host: str) -> bool:
    """Whether a host's name or address is that of this machine.

    Example:
        >>> is_this_machine("localhost"), is_this_machine("::1"), is_this_machine("example.org")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
