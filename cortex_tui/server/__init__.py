"""Any backend behind the HTTP API of the reference: `create_app`, and `serve` to run it."""

from cortex_tui.server.app import create_app
from cortex_tui.server.run import serve, serving
from cortex_tui.server.security import LOOPBACK_HOSTS, CannotServe, check_binding

__all__ = ["LOOPBACK_HOSTS", "CannotServe", "check_binding", "create_app", "serve", "serving"]
