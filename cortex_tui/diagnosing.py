"""The command `cortex test`: the connection test of a product, or of any broker by its URL."""

import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import click
from pydantic import SecretStr, ValidationError

from cortex_tui import completion, daemon, files, syntax, topics
from cortex_tui.backend import Backend, FieldProblem, NotFound, field_problems
from cortex_tui.diagnosis import Diagnosis, Outcome, Stage, as_text
from cortex_tui.models import (
    MAX_TEST_FILTERS,
    ConnectionTest,
    ConnectionTestResult,
    MqttConfig,
    Product,
    Subscription,
)
from cortex_tui.scripting import find, print_json
from cortex_tui.settings import SettingsError, read_secret
from cortex_tui.usage import FINE, NOT_FINE, Number, exit_codes
from cortex_tui.wording import LABELS, worded, worded_result

FAILED_AT = {stage: code for code, stage in enumerate(Stage, start=10)}
"""Exit codes: 10 is DNS, 15 the round trip."""

PASSWORD = "CORTEX_TEST_PASSWORD"  # noqa: S105 - the name of the variable
SCHEMES = {"mqtt": (1883, False), "mqtts": (8883, True)}

OPTIONS = {
    "ca_cert": "--ca-file",
    "client_cert": "--cert-file",
    "client_key": "--key-file",
    "time_limit": "--timeout",
    "use_tls": "TLS (mqtts://)",
    "use_shared": "sharing ($share/…)",
    "shared_group": "the group of --filter",
    "client_id": "client id",
    "keep_alive": "keep alive",
}
"""How whoever names a broker here says what the API has a field for."""

Test = tuple[str, ConnectionTestResult]
"""What was tested, and how that went."""
_ADDRESS = re.compile(r"[^\s/]+:[0-9]+")


def register(group: click.Group) -> None:
    """Add the command to `group`."""
    group.add_command(test)


@click.command(
    epilog=exit_codes(
        {
            FINE: "everything works",
            NOT_FINE: "failed, and the orchestrator tells no stage",
            **{code: f"{stage} failed" for stage, code in FAILED_AT.items()},
        }
    )
)
@click.argument(
    "target", required=False, metavar="[PRODUCT | URL]", shell_complete=completion.products
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--round-trip", metavar="TOPIC", help="Publish there too, and wait for it.")
@click.option(
    "--filter", "filters", metavar="FILTER", multiple=True, help="Subscribe to it; repeat for more."
)
@click.option("--ca-file", metavar="PEM", help="Authorities to trust, instead of the system's.")
@click.option("--cert-file", metavar="PEM", help="Client certificate.")
@click.option("--key-file", metavar="PEM", help="Its private key, without a passphrase.")
@click.option("--no-verify", is_flag=True, help="Do not verify the broker's certificate.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help=f"Its one line is the password. [env: {PASSWORD}, itself]",
)
@click.option("--timeout", type=Number(1, 60), metavar="SECONDS", help="For a test.  [default: 10]")
@click.pass_obj
def test(invocation: Any, /, target: str | None, as_json: bool, **options: Any) -> None:
    """Say why a broker can be connected to, or why not.

    It goes step by step, names the one that fails, and says what to change. PRODUCT is an id or a
    name, URL is mqtt://[USER@]HOST[:PORT], or mqtts:// with TLS; without either, every product is
    tested, and the first that failed gives the exit code. Nothing is saved, and no running
    connection is disturbed. A password is never an argument: it is asked for, or comes from a file
    or the environment; a product's stored one is used as it is.

    \b
    Examples:
      cortex test                                every product
      cortex test "car tyres" --round-trip a/b/test
      cortex test mqtt://localhost --filter 'a/#'
      cortex test mqtts://alice@broker.example --ca-file ca.pem --json
    """
    options["timeout"] = options["timeout"] or invocation.settings.test_seconds
    if options["round_trip"] is not None and not _is_url(target):
        invocation.check_may_change("a round trip publishes")
    try:
        if target is not None and _is_url(target):
            made = _of_url(target, options)  # outside the loop: one Ctrl+C ends its question
            results = [(target, daemon.run(_probed(made)))]
        else:
            results = daemon.run(_run(invocation, target, options))
    except ValidationError as error:
        raise _misused(field_problems(error)[0]) from None
    if as_json:
        dumped = [{"target": what, **result.model_dump(mode="json")} for what, result in results]
        print_json(dumped if target is None else dumped[0])
    else:
        names = OPTIONS if _is_url(target) else LABELS  # of a product it is stored, by its form
        click.echo(
            "\n".join(
                as_text(worded_result(result, names), f"Test of {what}") for what, result in results
            )
        )
    sys.exit(next((code for _, result in results if (code := exit_code(result))), 0))


def exit_code(result: ConnectionTestResult) -> int:
    """0, or the code of the stage that failed."""
    if result.status == "success":
        return 0
    stages = result.stages if isinstance(result, Diagnosis) else ()
    failed = (told.stage for told in stages if told.outcome is Outcome.FAILED)
    return next((FAILED_AT[stage] for stage in failed), NOT_FINE)


def _is_url(target: str | None) -> bool:
    return target is not None and "://" in target


def _misused(problem: FieldProblem) -> SettingsError:
    """The same about an option; it repeats no value."""
    message, field = worded(problem.message, OPTIONS), str(problem.loc[0]) if problem.loc else ""
    if field in OPTIONS and not message.startswith(OPTIONS[field]):
        message = f"{OPTIONS[field]}: {message}"
    return SettingsError(message)


async def _run(invocation: Any, target: str | None, options: dict[str, Any]) -> list[Test]:
    if target is not None and _ADDRESS.fullmatch(target):
        raise SettingsError(
            "the target has no scheme", "Write mqtt://HOST:PORT, or mqtts:// for TLS."
        )
    backend: Backend = await invocation.open_existing()
    try:
        results = [each async for each in _of_products(backend, target, options)]
    finally:
        await backend.aclose()
    if not results:
        raise NotFound("there is no product with a broker", "Name one, or give a URL: mqtt://…")
    return results


# -- a broker by its URL ----------------------------------------------------------------------


def _of_url(url: str, options: dict[str, Any]) -> ConnectionTest:
    access = parse(url)
    user = access["username"]
    if user is None and options["password_file"] is not None:
        raise SettingsError(
            "--password-file is given, and the URL names no user", "Write mqtt://USER@HOST."
        )
    return ConnectionTest.model_validate(
        {**access, **_given(options), "password": _password(options, user) or _asked(user)}
    )


async def _probed(made: ConnectionTest) -> ConnectionTestResult:
    from cortex_tui.local.probe import probe

    return await daemon.in_daemon_thread("cortex-probe", partial(probe, made))


def parse(url: str) -> dict[str, Any]:
    """Host, port, TLS and user name of a broker's URL. Raises `SettingsError`, which repeats
    nothing of it: there may be a password in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(
            "the URL cannot be read", "Write mqtt://host or mqtts://host:8883."
        ) from None
    if parts.scheme not in SCHEMES:
        raise SettingsError("the URL has another scheme than mqtt or mqtts", _scheme_hint(parts))
    if parts.password is not None:
        raise SettingsError(
            "the URL has a password, which other users of this machine can see",
            f"Leave it out: it is asked for, or read from --password-file or {PASSWORD}.",
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise SettingsError("the URL goes on after the port", "Give topics with --filter.")
    usual_port, use_tls = SCHEMES[parts.scheme]
    user = unquote(parts.username) if parts.username else None
    host = parts.hostname or ""
    port = usual_port if (given := _port(parts)) is None else given
    return {"host": host, "port": port, "use_tls": use_tls, "username": user}


def _port(parts: SplitResult) -> int | None:
    try:
        return syntax.url_port(parts)
    except ValueError:
        raise SettingsError(
            "the URL has a port that cannot be",
            "It is a number from 1 to 65,535, and may be left out: mqtt://host:1883.",
        ) from None


def _scheme_hint(parts: SplitResult) -> str:
    if parts.scheme in ("ws", "wss"):
        return "MQTT over WebSocket is not spoken here: use the broker's MQTT port."
    return "Write mqtt://host, or mqtts://host with TLS."


# -- products ---------------------------------------------------------------------------------


async def _of_products(
    backend: Backend, target: str | None, options: dict[str, Any]
) -> AsyncIterator[Test]:
    for product in await _meant(backend, target):
        document = await backend.config(product.id)
        if document.mqtt_config is not None:
            made = _as_stored(document.mqtt_config, document.subscriptions or (), options)
            result = await backend.test_connection(product.id, made)
            yield f"{product.name}, {made.address}", result
        elif target is not None:
            raise NotFound("MQTT is not configured for this product", "Save a broker first.")


async def _meant(backend: Backend, target: str | None) -> list[Product]:
    if target is None:
        return await backend.products()
    try:
        return [await find(backend, target)]
    except NotFound as error:
        hint = f"{error.hint} To test a broker itself, write mqtt://HOST.".strip()
        raise NotFound(error.message, hint) from None


def _as_stored(
    config: MqttConfig, subscriptions: tuple[Subscription, ...], options: dict[str, Any]
) -> ConnectionTest:
    """A product's own values, with its stored secrets unless others are given."""
    broker = config.broker.model_dump(include=set(ConnectionTest.model_fields))
    wanted = [each.topic for each in subscriptions if each.enabled]
    filters = topics.broker_filters(
        config.topics, wanted or [topics.effective_topic(config.topics)]
    )
    return ConnectionTest.model_validate(
        {
            **broker,
            "filters": filters[:MAX_TEST_FILTERS],
            "client_key": None,
            **_given(options),
            "password": _password(options, broker["username"]),
        }
    )


# -- what is given ----------------------------------------------------------------------------


def _given(options: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {"time_limit": options["timeout"]}
    if (options["cert_file"] is None) != (options["key_file"] is None):
        raise SettingsError("--cert-file and --key-file belong together", "Give both.")
    for field, option in (
        ("ca_cert", "ca_file"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
    ):
        if options[option] is not None:
            given[field] = _pem(options[option], OPTIONS[field])
    if options["filters"]:
        given["filters"] = [_filter(each) for each in options["filters"]]
    if options["round_trip"] is not None:
        rule = partial(syntax.topic_name, noun="--round-trip")
        given["round_trip_topic"] = _checked(rule, options["round_trip"])
    if options["no_verify"]:
        given["verify_cert"] = False
    return given


def _pem(path: str, option: str) -> str:
    try:
        return files.read_text(path)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None


def _filter(text: str) -> str:
    """A filter as the broker is sent it, shared or not."""
    bare = text
    if text.startswith("$share/"):
        group, _, bare = text.removeprefix("$share/").partition("/")
        _checked(syntax.shared_group, group)
    _checked(partial(syntax.topic_filter, noun="--filter"), bare)
    return text


def _checked(rule: Callable[[str], str], text: str) -> str:
    try:
        return rule(text)
    except ValueError as error:
        raise SettingsError(worded(str(error), OPTIONS)) from None


def _password(options: dict[str, Any], user: str | None) -> SecretStr | None:
    if user is None:
        return None
    if options["password_file"] is not None:
        return read_secret(options["password_file"], "--password-file")
    return SecretStr(given) if (given := os.environ.get(PASSWORD)) else None


def _asked(user: str | None) -> SecretStr | None:
    if user is None or not sys.stdin.isatty():
        return None
    prompt = f"Password of {user} (empty: none)"
    typed = click.prompt(prompt, default="", hide_input=True, show_default=False, err=True)
    return SecretStr(typed) if typed else None
