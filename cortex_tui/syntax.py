"""What MQTT and DNS allow in a name: one function a rule, pure, each returning the clean value.

Every function raises `ValueError` with a message that names the problem and the fix; the models
turn that into an error of the field. No message quotes the rejected text: somebody may have put a
password into the wrong field. Lengths are counted in bytes of UTF-8, as the protocol counts
them (MQTT 5 §1.5.4: a string is at most 65,535 bytes and holds no U+0000).
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

MAX_STRING_BYTES = 65_535
MAX_DNS_NAME = 253
MAX_DNS_LABEL = 63
PEM_LINE = 64

TOPIC_VARIABLES = ("application_id",)
"""The variables a topic pattern may name (API reference, note 6)."""

_DNS_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE | re.ASCII)
_WITH_PORT = re.compile(r"(?:\[.+\]|[^:]+):[^:]*")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def mqtt_string(text: str, noun: str) -> str:
    """`text`, if it can be sent as an MQTT string (MQTT 5 §1.5.4)."""
    if "\0" in text:
        raise ValueError(f"{noun} contains a NUL character: remove it")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{noun} contains half a surrogate pair: remove it") from None
    if size > MAX_STRING_BYTES:
        raise ValueError(f"{noun} is {size:,} bytes long: MQTT allows {MAX_STRING_BYTES:,}")
    return text


def username(text: str) -> str:
    """A user name for a broker (MQTT 5 §3.1.3.5)."""
    if not text.strip():
        raise ValueError("username is only blanks: leave it empty for none")
    return mqtt_string(text, "username")


def host(text: str) -> str:
    """A host name or an IP address, without scheme, port, path or brackets (RFC 1035 §2.3.4)."""
    text = text.strip()
    if not text:
        raise ValueError("host is empty: give a name such as localhost, or an IP address")
    _check_no_url(text)
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("host contains a space or a control character: remove it")
    literal = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(literal))
    except ValueError:
        pass
    if ":" in text:
        raise ValueError(
            "host is no valid IPv6 address: check its groups, as in ::1 or 2001:db8::1"
        )
    return _dns_name(text)


def _check_no_url(text: str) -> None:
    """Raise `ValueError` for a URL, or a piece of one, and say where each part of it goes."""
    scheme, has_scheme, rest = text.partition("://")
    rest = rest if has_scheme else text
    login, has_login, place = rest.rpartition("@")
    place, has_path, _ = place.partition("/")
    moved = {
        "user name": has_login,
        "password": ":" in login,
        "port": _WITH_PORT.fullmatch(place),
    }
    fields = [part for part, found in moved.items() if found]
    dropped = [part for part, found in (("scheme", has_scheme), ("path", has_path)) if found]
    if not fields and not dropped:
        return
    cures = ["keep only the host itself"]
    if scheme.lower() == "mqtts":
        cures.append("turn on use_tls")
    if fields:
        own = "its own field" if len(fields) == 1 else "their own fields"
        cures.append(f"put {_listed([f'the {part}' for part in fields])} into {own}")
    found = _listed([f"a {part}" for part in (*dropped, *fields)])
    raise ValueError(f"host contains {found}: {_listed(cures)}")


def _listed(parts: list[str]) -> str:
    """`a, b and c`"""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _dns_name(name: str) -> str:
    labels = [_ascii_label(label) for label in name.removesuffix(".").split(".")]
    if any(not label for label in labels):
        raise ValueError("host has an empty part between two dots: remove the extra dot")
    if all(label.isdigit() for label in labels):
        raise ValueError(
            "host is no valid IPv4 address: four numbers from 0 to 255, as in 10.0.0.7"
        )
    for label in labels:
        if len(label) > MAX_DNS_LABEL:
            raise ValueError(
                f"host has a part of {len(label)} characters: "
                f"DNS allows {MAX_DNS_LABEL} between dots"
            )
        if not _DNS_LABEL.fullmatch(label):
            raise ValueError(
                "host has a part with other characters than letters, digits and inner hyphens: "
                "write a name such as broker-1.example.com"
            )
    size = len(".".join(labels))
    if size > MAX_DNS_NAME:
        raise ValueError(f"host is {size} characters long: DNS allows {MAX_DNS_NAME}")
    return name


def _ascii_label(label: str) -> str:
    """`label` as DNS is asked for it, or as it stands where it has no such form (RFC 3490)."""
    try:
        return label if label.isascii() else label.encode("idna").decode()
    except UnicodeError:
        return label


def address(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine and reachable from no other."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def orchestrator_url(url: str) -> str:
    """Where an orchestrator answers: http or https, a host, perhaps a port and a path."""
    example = "write it like http://localhost:8004"
    scheme, has_scheme, _ = url.partition("://")
    if not scheme or not has_scheme:
        raise ValueError("url has no scheme: start it with http:// or https://")
    if scheme.lower() not in ("http", "https"):
        raise ValueError(
            "url has a scheme that is not supported: start it with http:// or https://"
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"url cannot be read: {example}") from None
    if not parts.hostname:
        raise ValueError(f"url has no host: {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url has a user name or password: give a token or token_file instead")
    url_port(parts)
    return url


def url_port(parts: SplitResult) -> int | None:
    """The port of a URL, where it has one."""
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("url has a port that cannot be: it is a number from 1 to 65,535")
    return port


def certificates(text: str, noun: str) -> str:
    """The certificates in PEM text (RFC 7468 §5) and nothing else of it."""
    if not (found := _pem(text, "CERTIFICATE")):
        raise ValueError(
            f"{noun} is no certificate in PEM form: it starts with -----BEGIN CERTIFICATE-----"
        )
    return found


def private_key(text: str, noun: str) -> str:
    """The private key in PEM text (RFC 7468 §10) and nothing else of it."""
    if _pem(text, "ENCRYPTED PRIVATE KEY") or "Proc-Type: 4,ENCRYPTED" in text:
        raise ValueError(f"{noun} is protected by a passphrase: give it without one")
    if not (found := _pem(text, "(?:[A-Z]+ )?PRIVATE KEY")):
        raise ValueError(
            f"{noun} is no private key in PEM form: it starts with -----BEGIN PRIVATE KEY-----"
        )
    return found


def _pem(text: str, label: str) -> str:
    """The blocks of PEM text with that label, in lines of 64 characters (RFC 7468 §2). What is
    pasted may have them indented, or end its lines with CR, or not at all."""
    form = rf"-----BEGIN ({label})-----([A-Za-z0-9+/=\s]*)-----END \1-----"
    return "".join(
        "\n".join([f"-----BEGIN {found}-----", *_lines(content), f"-----END {found}-----\n"])
        for found, content in re.findall(form, text)
    )


def _lines(content: str) -> list[str]:
    joined = "".join(content.split())
    return [joined[start : start + PEM_LINE] for start in range(0, len(joined), PEM_LINE)]


def client_id(text: str) -> str:
    """A client identifier (MQTT 5 §3.1.3.1)."""
    if any(not character.isprintable() for character in text):
        raise ValueError("client_id contains a control character: remove it")
    return mqtt_string(text, "client_id")


def shared_group(text: str) -> str:
    """A share name: at least one character, and none of `/ + #` (MQTT 5 §4.8.2)."""
    if not text:
        raise ValueError("shared_group is empty: give a name such as bre, or turn off use_shared")
    for character in "/+#":
        if character in text:
            raise ValueError(f"shared_group contains {character!r}: a group name has none of / + #")
    return mqtt_string(text, "shared_group")


def topic_filter(text: str, noun: str = "topic") -> str:
    """A topic filter (MQTT 5 §4.7.1, §4.7.3), not yet shared."""
    if not text:
        raise ValueError(f"{noun} is empty: give at least one character")
    levels = text.split("/")
    if levels[0] == "$share":
        raise ValueError(f"{noun} starts with $share: leave that out, and turn on use_shared")
    for position, level in enumerate(levels):
        if "#" in level and level != "#":
            raise ValueError(
                f"{noun} has '#' beside other characters: it stands alone between slashes"
            )
        if level == "#" and position != len(levels) - 1:
            raise ValueError(
                f"{noun} has '#' before its end: move it to the end, or use '+' for one level"
            )
        if "+" in level and level != "+":
            raise ValueError(
                f"{noun} has '+' beside other characters: it stands alone between slashes"
            )
    return mqtt_string(text, noun)


def topic_name(text: str, noun: str = "topic") -> str:
    """A topic to publish to: a filter without wildcards (MQTT 5 §3.3.2.1)."""
    if "+" in text or "#" in text:
        raise ValueError(f"{noun} contains a wildcard: publish to one exact topic, without + and #")
    return topic_filter(text, noun)


def application_id(text: str) -> str:
    """One level of a topic: not empty, and none of `/ + #`."""
    if not text:
        raise ValueError("application_id is empty: give one, or leave it out for every application")
    for character in "/+#":
        if character in text:
            raise ValueError(
                f"application_id contains {character!r}: it is one level, with none of / + #"
            )
    return mqtt_string(text, "application_id")


def topic_prefix(text: str) -> str:
    """The start of every derived topic; empty is allowed, `#` and variables are not."""
    if "#" in text:
        raise ValueError("prefix contains '#': it may only end a topic, so put it into the pattern")
    if "{" in text or "}" in text:
        raise ValueError("prefix contains a brace: variables belong into the pattern")
    return topic_filter(text, "prefix") if text else text


def topic_pattern(text: str) -> str:
    """A topic with `{variables}`: every variable is known and alone between slashes."""
    known = " and ".join(f"{{{name}}}" for name in TOPIC_VARIABLES)
    for name in _VARIABLE.findall(text):
        if name not in TOPIC_VARIABLES:
            raise ValueError(f"pattern names an unknown variable: use {known}")
    for level in text.split("/"):
        without = _VARIABLE.sub("", level)
        if "{" in without or "}" in without:
            raise ValueError(
                f"pattern has a brace without its partner: variables look like {known}"
            )
        # For every application a variable becomes the wildcard +, which stands alone.
        if level != without and not _VARIABLE.fullmatch(level):
            raise ValueError(
                f"pattern has {known} beside other characters: it stands alone between slashes"
            )
    topic_filter(fill_pattern(text, dict.fromkeys(TOPIC_VARIABLES, "x")), "pattern")
    return text


def fill_pattern(pattern: str, values: dict[str, str]) -> str:
    """`pattern` with its `{variables}` replaced (API reference, note 6)."""
    for name, value in values.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern
