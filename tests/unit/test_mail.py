"""E-mails: rendered from a folder, one line of subject, HTML escaped, and never a way out."""

from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.local.mail import MAX_MAIL, Mail, MailError, MailTemplates, message

EVENT: dict[str, Any] = {
    "event": "payment_marked_as_pending",
    "customer": {"name": "<b>Ann</b>"},
    "lines": [1, 2],
}


def templates(folder: Path, **files: str) -> MailTemplates:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return MailTemplates(folder)


def test_an_e_mail_has_a_subject_a_text_and_html_where_there_is_some(tmp_path: Path) -> None:
    mails = templates(
        tmp_path,
        x_subject_txt="Payment of {{ customer.name }}\n",
        x_txt="{{ event.customer.name }}: {% for n in lines %}{{ n }};{% endfor %}{{ params.id }}",
        x_html="<p>{{ customer.name }}</p>",
    )
    assert mails.render("x", EVENT, {"id": 7}) == Mail(
        subject="Payment of <b>Ann</b>",
        text="<b>Ann</b>: 1;2;7",
        html="<p>&lt;b&gt;Ann&lt;/b&gt;</p>",
    )
    (tmp_path / "x.html").unlink()
    assert mails.render("x", EVENT, {"id": 7}).html is None


def test_event_is_the_payload_or_its_event_object(tmp_path: Path) -> None:
    mails = templates(tmp_path, x_subject_txt="{{ event.a }}", x_txt="-")
    assert mails.render("x", {"a": 1}, {}).subject == "1"
    assert mails.render("x", {"event": {"a": 2}, "a": 1}, {}).subject == "2"
    assert mails.render("x", {"event": "name", "a": 1}, {}).subject == "1"


def test_an_event_cannot_pass_for_the_params_of_the_action(tmp_path: Path) -> None:
    mails = templates(tmp_path, x_subject_txt="{{ params.link }}", x_txt="-")
    assert mails.render("x", {"params": {"link": "theirs"}}, {"link": "ours"}).subject == "ours"


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    mails = templates(tmp_path, x_subject_txt="one", x_txt="-")
    assert mails.render("x", EVENT, {}).subject == "one"
    changed = tmp_path / "x.subject.txt"
    before = changed.stat().st_mtime_ns
    while changed.stat().st_mtime_ns == before:
        changed.write_text("two")
    assert mails.render("x", EVENT, {}).subject == "two"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ nothing }}", "x.txt: 'nothing' is undefined"),
        ("{{ customer.age.years }}", "x.txt: 'dict object' has no attribute 'age'"),
        ("{% if %}", "x.txt: Expected an expression"),
        ("{{ customer.__class__.__mro__ }}", "x.txt: access to attribute '__class__'"),
        ("{{ lines.append(3) }}", "x.txt: access to attribute 'append'"),
        ("{{ 1 / 0 }}", "x.txt: division by zero"),
        ("{{ 'x' + 1 }}", "x.txt: can only concatenate"),
        ("{% include '../secret' %}", r"there is no \.\./secret in"),
        ("{{ 'x' * 1048577 }}", f"x.txt: the e-mail is longer than {MAX_MAIL:,} characters"),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path.parent / "secret").write_text("secret")
    mails = templates(tmp_path, x_subject_txt="-", x_txt=text)
    with pytest.raises(MailError, match=problem):
        mails.render("x", EVENT, {})


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MailError, match=r"there is no x\.subject\.txt in "):
        MailTemplates(tmp_path).render("x", EVENT, {})


def test_a_message_cannot_be_given_another_header(tmp_path: Path) -> None:
    mails = templates(tmp_path, x_subject_txt="{{ subject }}", x_txt="text")
    mail = mails.render("x", {"subject": "hello\r\nBcc: spy@example.com"}, {})
    made = message(
        mail,
        sender=Address("Cortex", "cortex", "example.com"),
        recipients=[Address("", "a", "example.com"), Address("", "b", "example.com")],
        key="0f0f",
        created_at=1_769_000_000.0,
    )
    assert made["Subject"] == "hello Bcc: spy@example.com"
    assert made["Bcc"] is None
    assert made["From"] == "Cortex <cortex@example.com>"
    assert made["To"] == "a@example.com, b@example.com"
    assert made["Message-ID"] == "<0f0f@example.com>"
    assert made["Date"] == "Wed, 21 Jan 2026 12:53:20 +0000"
    assert made["Auto-Submitted"] == "auto-generated"


def test_an_unprintable_subject_is_an_error_and_no_header() -> None:
    with pytest.raises(MailError, match="cannot be written"):
        message(
            Mail("a\nb", "text"),
            sender=Address("", "a", "example.com"),
            recipients=[Address("", "a", "example.com")],
            key="k",
            created_at=0.0,
        )
