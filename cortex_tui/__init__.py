"""Cortex TUI: see, configure and run event-driven products on MQTT from a terminal."""

__version__ = "0.1.0"

import os

# pydantic would ask every installed distribution for plugins, which costs a tenth of a start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
