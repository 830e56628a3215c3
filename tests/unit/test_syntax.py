"""What MQTT and DNS allow in a name, and that every refusal names the problem and the fix."""

import ipaddress
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_tui import syntax

LONGEST = syntax.MAX_STRING_BYTES
ANY_TEXT = st.text(st.characters(exclude_categories=[]))
LEVEL = st.text(st.characters(exclude_characters="/+#\0", exclude_categories=["Cs"]), max_size=8)


def _refused(rule: Callable[[str], str], text: str) -> str:
    """The message with which `rule` refuses `text`, checked to be a problem and a fix."""
    with pytest.raises(ValueError, match=r".+: .+") as refusal:
        rule(text)
    message = str(refusal.value)
    assert type(refusal.value) is ValueError
    assert message.isprintable()
    return message


def _accepted(rule: Callable[[str], str], text: str) -> str | None:
    """What `rule` makes of `text`, or none where it refuses it as it should."""
    try:
        return rule(text)
    except ValueError:
        _refused(rule, text)
        return None


# -- strings ----------------------------------------------------------------------------------

NAMED_STRING = partial(syntax.mqtt_string, noun="username")


def test_a_string_is_measured_in_bytes() -> None:
    assert NAMED_STRING("x" * LONGEST) == "x" * LONGEST
    assert NAMED_STRING("é" * (LONGEST // 2)) == "é" * (LONGEST // 2)
    assert "65,536 bytes" in _refused(NAMED_STRING, "x" * (LONGEST + 1))
    assert "65,536 bytes" in _refused(NAMED_STRING, "é" * (LONGEST // 2 + 1))


@pytest.mark.parametrize(
    ("text", "problem"), [("a\0b", "NUL"), ("\ud83d", "surrogate"), ("a\udc00", "surrogate")]
)
def test_a_string_can_be_sent(text: str, problem: str) -> None:
    message = _refused(NAMED_STRING, text)
    assert message.startswith("username ")
    assert problem in message


# -- hosts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("localhost", "localhost"),
        ("  api.platform.integrations.habit.io\n", "api.platform.integrations.habit.io"),
        ("broker.example.org.", "broker.example.org."),
        ("Broker_1.Example-Site.org", "Broker_1.Example-Site.org"),
        ("bücher.example", "bücher.example"),
        ("7-eleven.example", "7-eleven.example"),
        ("x" * 63, "x" * 63),
        (".".join(["x" * 61] * 4), ".".join(["x" * 61] * 4)),
        (".".join(["x" * 62] * 4)[:253] + ".", ".".join(["x" * 62] * 4)[:253] + "."),
        ("10.0.0.7", "10.0.0.7"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:0DB8::0001", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:10.0.0.7", "::ffff:a00:7"),
    ],
)
def test_host_accepts(given: str, clean: str) -> None:
    assert syntax.host(given) == clean


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("", "empty", "localhost"),
        ("   ", "empty", "localhost"),
        ("mqtt://broker.example", "a scheme", "keep only the host itself"),
        ("mqtts://broker.example:8883/path", "a scheme, a path and a port", "turn on use_tls"),
        ("broker.example:8883", "a port", "the port into its own field"),
        ("broker.example:", "a port", "the port into its own field"),
        ("[::1]:1883", "a port", "the port into its own field"),
        ("mqtt://[::1]", "a scheme", "keep only the host itself"),
        ("10.0.0.7:1883", "a port", "the port into its own field"),
        ("user@broker.example", "a user name", "the user name into its own field"),
        ("broker.example/mqtt", "a path", "keep only the host itself"),
        ("broker example", "space", "remove"),
        ("broker\x1b[31m", "control", "remove"),
        ("broker\u200b", "control", "remove"),
        ("a..b", "two dots", "extra dot"),
        (".example", "two dots", "extra dot"),
        (".", "two dots", "extra dot"),
        ("x" * 64 + ".example", "64 characters", "63"),
        (".".join(["x" * 63] * 4), "255 characters", "253"),
        (".".join(["x" * 63] * 3 + ["x" * 62]), "254 characters", "253"),
        ("ü" * 40 + "." + ".".join(["x" * 60] * 4), "characters", "253"),
        ("-broker.example", "letters, digits", "broker-1.example.com"),
        ("broker-.example", "letters, digits", "broker-1.example.com"),
        ("bro*ker", "letters, digits", "broker-1.example.com"),
        ("[broker]", "letters, digits", "broker-1.example.com"),
        ("10.0.0.256", "IPv4", "0 to 255"),
        ("10.0.0", "IPv4", "0 to 255"),
        ("1883", "IPv4", "0 to 255"),
        ("2001:db8::g", "IPv6", "groups"),
        ("1::2::3", "IPv6", "groups"),
        ("fe80::1%", "IPv6", "groups"),
        ("10.0.0.7%eth0", "letters, digits", "broker-1.example.com"),
    ],
)
def test_host_refuses(text: str, problem: str, fix: str) -> None:
    message = _refused(syntax.host, text)
    assert message.startswith("host ")
    found_problem, _, found_fix = message.partition(": ")
    assert problem in found_problem
    assert fix in found_fix


def test_a_url_for_a_host_is_told_where_each_part_goes_and_quoted_nowhere() -> None:
    assert _refused(syntax.host, "mqtts://alice:hunter2/@broker.example:28883") == (
        "host contains a scheme, a user name, a password and a port: keep only the host itself, "
        "turn on use_tls and put the user name, the password and the port into their own fields"
    )


def test_a_user_name_is_more_than_blanks() -> None:
    assert syntax.username(" alice ") == " alice "
    assert _refused(syntax.username, " \t") == "username is only blanks: leave it empty for none"


@given(
    ANY_TEXT
    | st.from_regex(r"[a-z0-9ü.:\[\]%-]{1,80}", fullmatch=True)
    | st.ip_addresses().map(str)
)
@example("a" * 300)
@example("ſ.example")
@example("。")
def test_an_accepted_host_can_be_looked_up(text: str) -> None:
    host = _accepted(syntax.host, text)
    if host is None:
        return
    assert syntax.host(host) == host
    assert not any(character.isspace() for character in host)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        assert len(host.encode("idna").removesuffix(b".")) <= 253  # what getaddrinfo does first


@given(st.ip_addresses())
def test_every_address_is_a_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert ipaddress.ip_address(syntax.host(str(address))) == address
    assert ipaddress.ip_address(syntax.host(f"[{address}]")) == address


# -- client id, shared group, application id --------------------------------------------------


@pytest.mark.parametrize("text", ["bre-tyres-instance-2-abc123", "a b", "é", "x" * LONGEST])
def test_client_id_accepts(text: str) -> None:
    assert syntax.client_id(text) == text


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\x1b[2J", "x" * (LONGEST + 1)])
def test_client_id_refuses(text: str) -> None:
    assert _refused(syntax.client_id, text).startswith("client_id ")


@pytest.mark.parametrize("text", ["bre", "b r e", "{bre}", "$bre", "x" * LONGEST])
def test_shared_group_accepts(text: str) -> None:
    assert syntax.shared_group(text) == text


@pytest.mark.parametrize("text", ["", "a/b", "/", "a+", "#", "a\0", "x" * (LONGEST + 1)])
def test_shared_group_refuses(text: str) -> None:
    assert _refused(syntax.shared_group, text).startswith("shared_group ")


@pytest.mark.parametrize("text", ["ABC123", "a b", "x" * LONGEST])
def test_application_id_accepts(text: str) -> None:
    assert syntax.application_id(text) == text


@pytest.mark.parametrize("text", ["", "a/b", "+", "a#", "\0", "x" * (LONGEST + 1)])
def test_application_id_refuses(text: str) -> None:
    assert _refused(syntax.application_id, text).startswith("application_id ")


# -- topics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "/",
        "//",
        "#",
        "+",
        "+/+",
        "/#",
        "a/+/#",
        "/v3/applications/ABC123/business-events",
        "$SYS/broker/version",
        "$shared/x",
        " ",
        "[/red]",
        "x" * LONGEST,
    ],
)
def test_topic_filter_accepts(text: str) -> None:
    assert syntax.topic_filter(text) == text


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("", "empty", "one character"),
        ("a/#/b", "'#' before its end", "move it to the end"),
        ("#/a", "'#' before its end", "move it to the end"),
        ("a#", "'#' beside", "alone"),
        ("a/b#", "'#' beside", "alone"),
        ("##", "'#' beside", "alone"),
        ("a+/b", "'+' beside", "alone"),
        ("++", "'+' beside", "alone"),
        ("a\0b", "NUL", "remove"),
        ("$share/bre/a", "$share", "use_shared"),
        ("$share", "$share", "use_shared"),
        ("x" * (LONGEST + 1), "65,536 bytes", "65,535"),
    ],
)
def test_topic_filter_refuses(text: str, problem: str, fix: str) -> None:
    message = _refused(syntax.topic_filter, text)
    assert message.startswith("topic ")
    found_problem, _, found_fix = message.partition(": ")
    assert problem in found_problem
    assert fix in found_fix


@given(st.lists(LEVEL, min_size=1, max_size=6), st.data())
def test_filters_made_by_the_rules_are_accepted(levels: list[str], data: st.DataObject) -> None:
    wildcards = [data.draw(st.sampled_from([level, "+"])) for level in levels]
    ending = data.draw(st.sampled_from([[], ["#"]]))
    text = "/".join(wildcards + ending)
    if text and wildcards[0] != "$share":
        assert syntax.topic_filter(text) == text


@pytest.mark.parametrize("text", ["a", "/v3/applications/ABC123/business-events", "$SYS/x"])
def test_topic_name_accepts(text: str) -> None:
    assert syntax.topic_name(text) == text


@pytest.mark.parametrize("text", ["", "+", "a/#", "a+b", "$share/g/a", "a\0"])
def test_topic_name_refuses(text: str) -> None:
    assert _refused(syntax.topic_name, text).startswith("topic ")


@pytest.mark.parametrize("text", ["", "/v3/applications", "v3", "+/v3", "/", "v3/"])
def test_prefix_accepts(text: str) -> None:
    assert syntax.topic_prefix(text) == text


@pytest.mark.parametrize(
    "text", ["#", "a/#", "{application_id}", "a}", "a+/b", "$share/g", "$share", "\0", "x" * 65_536]
)
def test_prefix_refuses(text: str) -> None:
    assert _refused(syntax.topic_prefix, text).startswith("prefix ")


# -- patterns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{application_id}/business-events",
        "{application_id}",
        "{application_id}/{application_id}",
        "business-events",
        "+/business-events",
        "/{application_id}/#",
    ],
)
def test_pattern_accepts(text: str) -> None:
    assert syntax.topic_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("{tenant}/events", "unknown variable"),
        ("{application_id}/{tenant}", "unknown variable"),
        ("{}/events", "unknown variable"),
        ("{0}", "unknown variable"),
        ("{application_id!r}", "unknown variable"),
        ("{application_id:>9}", "unknown variable"),
        ("{ application_id }", "unknown variable"),
        ("{\x1b[31m}", "unknown variable"),
        ("{application_id", "brace without its partner"),
        ("application_id}", "brace without its partner"),
        ("{{application_id}}", "brace without its partner"),
        ("}{", "brace without its partner"),
        ("app-{application_id}/events", "beside other characters"),
        ("{application_id}{application_id}", "beside other characters"),
        ("{application_id}/#/events", "'#' before its end"),
        ("$share/{application_id}", "$share"),
        ("x" * 65_536, "65,536 bytes"),
    ],
)
def test_pattern_refuses(text: str, problem: str) -> None:
    message = _refused(syntax.topic_pattern, text)
    assert message.startswith("pattern ")
    assert problem in message


@given(st.lists(LEVEL | st.sampled_from(["{application_id}", "+", "{", "}", "{x}"]), min_size=1))
def test_an_accepted_pattern_is_a_filter_whatever_fills_it(levels: list[str]) -> None:
    pattern = _accepted(syntax.topic_pattern, "/".join(levels))
    if pattern is None:
        return
    for value in ("ABC123", "+", "{application_id}"):
        syntax.topic_filter(syntax.fill_pattern(pattern, {"application_id": value}))


def test_fill_pattern() -> None:
    assert (
        syntax.fill_pattern("{application_id}/business-events", {"application_id": "ABC123"})
        == "ABC123/business-events"
    )
    assert syntax.fill_pattern("a/b", {"application_id": "ABC123"}) == "a/b"


# -- every rule -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (syntax.host, "mqtt://user:hunter2@broker"),
        (syntax.host, "user:hunter2@broker:1883"),
        (syntax.host, "hunter2/"),
        (syntax.host, "hunter2:1883"),
        (syntax.host, "[hunter2]"),
        (syntax.client_id, "hunter2\n"),
        (syntax.topic_filter, "hunter2#"),
        (syntax.topic_pattern, "{hunter2}"),
        (syntax.topic_prefix, "{hunter2}"),
    ],
)
def test_a_password_in_the_wrong_field_is_not_repeated(
    rule: Callable[[str], str], text: str
) -> None:
    assert "hunter2" not in _refused(rule, text)


RULES = [
    NAMED_STRING,
    syntax.host,
    syntax.client_id,
    syntax.shared_group,
    syntax.topic_filter,
    syntax.topic_name,
    syntax.application_id,
    syntax.topic_prefix,
    syntax.topic_pattern,
]


@pytest.mark.parametrize("rule", RULES)
@given(text=ANY_TEXT | st.lists(ANY_TEXT | st.sampled_from("{}/:@+#[]")).map("".join))
def test_a_rule_returns_what_it_accepts_again_or_refuses_with_a_fix(
    rule: Callable[[str], str], text: str
) -> None:
    clean = _accepted(rule, text)
    if clean is None:
        return
    assert rule(clean) == clean
    assert len(clean.encode()) <= LONGEST
    assert "\0" not in clean
