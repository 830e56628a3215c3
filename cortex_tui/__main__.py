"""`python -m cortex_tui` is the command `cortex`."""

from cortex_tui.cli import main

main(prog_name="cortex")
