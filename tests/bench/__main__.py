"""`make bench`: figures beside a yardstick from the same run, since machines are noisy.

`python -m tests.bench [NAME …]` runs those named, or all.
"""

import importlib
import sys

ROOMS = {
    "http": "status requests beside a bare FastAPI route, and 1,000 products on the stream",
    "crash": "100,000 events while the server is killed five times",
    "drain": "a QoS 1 backlog, beside a bare paho client",
    "terminal": "first frame beside a bare Textual app, the line idle and loaded, keys, quitting",
    "memory": "ten minutes of full load",
}


def main() -> None:
    names = sys.argv[1:] or list(ROOMS)
    for name in names:
        if name not in ROOMS:
            sys.exit(f"there is no bench {name!r}; known: {', '.join(ROOMS)}")
    for name in names:
        print(f"\n{name}: {ROOMS[name]}", flush=True)
        importlib.import_module(f"tests.bench.{name}").run()


main()
