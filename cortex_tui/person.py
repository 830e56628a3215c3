"""Who sits before this program, as far as the machine knows."""

import getpass
import socket


def who() -> str:
    """`anna@laptop`: the user of the operating system and the host."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # no such user, as in some containers
        name = "unknown"
    return f"{name}@{socket.gethostname()}"
