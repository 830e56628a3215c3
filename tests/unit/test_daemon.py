"""What may wait for a silent network is not waited for at the end."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from cortex_tui import daemon


def test_a_silent_name_service_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, never = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        never.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main() -> str:
        looking = asyncio.create_task(asyncio.open_connection("slow.example", 80))
        await asyncio.to_thread(asked.wait)
        looking.cancel()
        return "over"

    assert daemon.run(main()) == "over"
    never.set()


def test_what_is_raised_in_the_thread_is_raised_here() -> None:
    def fails() -> None:
        raise KeyError("why")

    async def main() -> None:
        await daemon.in_daemon_thread("a thread", fails)

    with pytest.raises(KeyError, match="why"):
        daemon.run(main())
