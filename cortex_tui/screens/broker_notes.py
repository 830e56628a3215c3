"""What stands beside the fields of a broker: which secrets are set, what is not encrypted or not
checked, and what is in the certificates."""

from textual.content import Content

from cortex_tui.diagnosis import left
from cortex_tui.models import TLS_MATERIAL, BrokerConfig
from cortex_tui.widgets.certificate import SOON, certificate_lines
from cortex_tui.widgets.form import Form
from cortex_tui.widgets.text import ACCENT, MUTED, WARN

SECRETS = {
    "password": ("username", "no user name"),
    "client_key": ("client_cert", "no cert"),
}
"""Each with the field it goes with, and what is said where that is empty."""

MAX_SHOWN = 3
"""Certificates of one field that are shown."""


def note_broker(form: Form[BrokerConfig], stored: BrokerConfig | None, takes_tls: bool) -> None:
    """Say it of what is typed; `stored` is what was saved, and `takes_tls` whether the orchestrator
    takes certificates."""
    _note_secrets(form, stored)
    _note_tls(form)
    _note_tls_material(form, takes_tls)


def _note_secrets(form: Form[BrokerConfig], stored: BrokerConfig | None) -> None:
    for secret, (owner, without) in SECRETS.items():
        is_set = stored is not None and getattr(stored, secret) is not None
        if form[secret]:
            note = Content.styled("new", ACCENT)
        elif is_set and not form[owner]:
            note = Content.styled(f"will be removed: {without}", WARN)
        elif is_set:
            note = Content.styled("set, unchanged", MUTED)
        else:
            note = Content.styled("not set", MUTED)
        form.note(secret, note, keep=True)


def _note_tls(form: Form[BrokerConfig]) -> None:
    tls, verified = form["use_tls"], form["verify_cert"]
    if not tls:
        form.note("use_tls", Content.styled("nothing is encrypted", MUTED))
        form.note("verify_cert", Content.styled("matters with TLS only", MUTED))
        return
    form.note("use_tls", Content())
    warning = Content.styled("⚠ anyone may be the broker", WARN)
    form.note("verify_cert", Content() if verified else warning, keep=not verified)


def _note_tls_material(form: Form[BrokerConfig], takes_tls: bool) -> None:
    """They matter with TLS only, and not everywhere."""
    form.offer(TLS_MATERIAL, visible=form["use_tls"], enabled=takes_tls)
    if not takes_tls:
        for field in TLS_MATERIAL:
            note = Content.styled("not at this orchestrator", MUTED)
            form.note(field, note, keep=True)
        return
    for field in ("ca_cert", "client_cert"):
        held = form.pem(field).certificates
        note = Content()
        if held:
            soonest = min(held, key=lambda certificate: certificate.days_left)
            style = MUTED if soonest.days_left >= SOON else WARN
            some = f"{len(held)} of them, " if len(held) > 1 else ""
            note = Content.styled(f"{some}{left(soonest)}", style)
        elif not form[field] and field in form.changed:
            note = Content.styled("will be removed", WARN)
        form.note(field, note, keep=bool(note))
        lines = [
            Content.assemble(*each) for cert in held[:MAX_SHOWN] for each in certificate_lines(cert)
        ]
        form.detail(field, lines)
