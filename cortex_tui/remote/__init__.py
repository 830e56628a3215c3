"""An orchestrator somewhere else, reached over HTTP."""

from cortex_tui.remote.backend import RemoteBackend

__all__ = ["RemoteBackend"]
