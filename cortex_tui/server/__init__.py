"""Any backend behind the HTTP API of the reference: `create_app`, and `serve` to run it."""

from cortex_tui.server.app import create_app
from cortex_tui.server.run import serve, serving
from cortex_tui.server.security import CannotServe, Misused, check_binding, hosts_of

__all__ = [
    "CannotServe",
    "Misused",
    "check_binding",
    "create_app",
    "hosts_of",
    "serve",
    "serving",
]
