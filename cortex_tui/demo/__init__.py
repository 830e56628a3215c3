"""The demo: a throw-away orchestrator with a broker and simulated business events.

async with demo.running(LocalBackend.open) as running:
    running.backend, running.broker_name, running.broker_port
"""

from cortex_tui.demo.broker import BrokerFailed
from cortex_tui.demo.run import DEFAULT_RATE, Demo, running

__all__ = ["DEFAULT_RATE", "BrokerFailed", "Demo", "running"]
