"""What is in a certificate, as it stands on the screen."""

from collections.abc import Iterator

from textual.content import Content

from cortex_tui.diagnosis import Certificate, described
from cortex_tui.widgets.hanging import Line, line
from cortex_tui.widgets.text import BAD, MUTED, WARN, said

SOON = 30
"""Days of validity below which it stands out."""


def certificate_lines(certificate: Certificate) -> Iterator[Line]:
    """Who it is for, by whom, how long it is valid, and its fingerprint to compare."""
    subject, names, validity, fingerprint = described(certificate)
    yield line("  ", subject)
    yield line("    ", names, MUTED)
    days = certificate.days_left
    style = BAD if days < 0 else WARN if days < SOON else MUTED
    kind, digits = fingerprint.split()
    yield said("    "), Content.assemble(said(validity, style), (f"; {kind}:", MUTED))
    for half in halves(digits):
        yield line("    ", half, MUTED)


def halves(fingerprint: str) -> tuple[str, str]:
    """A fingerprint in two parts that fit on a line each."""
    parts = fingerprint.split(":")
    middle = len(parts) // 2
    return ":".join(parts[:middle]) + ":", ":".join(parts[middle:])
