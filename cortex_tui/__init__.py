"""Cortex TUI: see, configure and run event-driven products on MQTT from a terminal."""

__version__ = "0.1.0"
