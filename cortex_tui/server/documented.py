"""The seven endpoints of the API reference, to the letter.

With `extensions` an answer may carry fields beyond the reference; without, it holds the documented
ones and nothing else.
"""

from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Body, Header, Path, Request, Response

from cortex_tui.answers import SubscriptionList, SubscriptionSaved, Success
from cortex_tui.backend import Backend, Stale
from cortex_tui.diagnosis import Diagnosis, printable
from cortex_tui.models import (
    ConfigDocument,
    ConfigDraft,
    ConfigSaved,
    ConnectionStatus,
    ConnectionTest,
    ConnectionTestResult,
    Model,
    MqttConfig,
    SubscriptionChange,
)
from cortex_tui.server import examples
from cortex_tui.server.errors import (
    BODY,
    INVALID,
    NOT_FOUND,
    NOT_NOW,
    STALE,
    Responses,
    named,
)
from cortex_tui.server.strict import StrictRoute

MAX_ID = 2**63 - 1

ProductId = Annotated[int, Path(ge=-MAX_ID, le=MAX_ID, description="The product", examples=[2])]
SubscriptionId = Annotated[
    int, Path(ge=-MAX_ID, le=MAX_ID, description="The subscription", examples=[1])
]

# -- the documented fields of each answer, as pydantic's `include` takes them -----------------

_BROKER = {
    "host",
    "port",
    "use_tls",
    "verify_cert",
    "username",
    "password",
    "client_id",
    "keep_alive",
    "clean_session",
}
_CONFIG = {
    "id": True,
    "product_id": True,
    "broker": _BROKER,
    "topics": {"prefix", "pattern", "use_shared", "shared_group", "qos"},
    "created_at": True,
    "updated_at": True,
}
_SUBSCRIPTION = {
    "id": True,
    "name": True,
    "topic": True,
    "enabled": True,
    "description": True,
    "actions": True,
    "stats": {"messages_received", "last_message_at", "actions_executed", "actions_failed"},
    "created_at": True,
    "updated_at": True,
}
_STATUS = {
    "product_id",
    "connected",
    "last_connected_at",
    "last_disconnected_at",
    "connection_error",
    "messages_received",
    "last_message_at",
    "subscribed_topics_count",
    "client_id",
    "broker_info",
    "updated_at",
}
DOCUMENTED: dict[type[Model], Any] = {
    ConfigDocument: {
        "product_id": True,
        "mqtt_config": _CONFIG,
        "subscriptions": {"__all__": _SUBSCRIPTION},
        "status": _STATUS,
        "message": True,
    },
    ConfigSaved: {
        "status": True,
        "message": True,
        "requires_restart": True,
        "mqtt_config": _CONFIG,
    },
    ConnectionTestResult: {"status", "connected", "latency_ms", "error", "details"},
    SubscriptionList: {"subscriptions": {"__all__": _SUBSCRIPTION}},
    SubscriptionSaved: {"status": True, "message": True, "subscription": _SUBSCRIPTION},
    ConnectionStatus: _STATUS,
}
_CHANGEABLE = {"enabled", "description", "actions"}
_TESTABLE = {"host", "port", "use_tls", "verify_cert", "username", "password"}

M = TypeVar("M", bound=Model)


def _only(model: M, fields: set[str]) -> M:
    kept = model.model_fields_set & fields
    values = {name: getattr(model, name) for name in kept}
    return cast("M", type(model).model_construct(kept, **values))


def answer(model: Model, status: int = 200, **dump: Any) -> Response:
    """`model` as a JSON answer."""
    return Response(model.model_dump_json(**dump), status, media_type="application/json")


def _ok(**shown: dict[str, Any]) -> Responses:
    return {200: {"content": {"application/json": {"examples": named(shown)}}}}


def etag(config: MqttConfig | None) -> str | None:
    """The entity tag of a configuration: its version in quotes (RFC 9110 §8.8.3)."""
    return None if config is None or config.version is None else f'"{config.version}"'


def documented_routes(backend: Backend, base: str, *, extensions: bool) -> APIRouter:
    """The router of the documented endpoints, below the path `base`."""
    router = APIRouter(prefix=base, route_class=StrictRoute, tags=["API reference"])

    def documented(model: Model, **dump: Any) -> Response:
        # A backend may answer with more than the documented class: a kind of it.
        fields = next(DOCUMENTED[kind] for kind in type(model).__mro__ if kind in DOCUMENTED)
        return answer(model, include=None if extensions else fields, **dump)

    def tagged(response: Response, config: MqttConfig | None) -> Response:
        tag = etag(config)
        if extensions and tag is not None:
            response.headers["ETag"] = tag
        return response

    async def expected_version(
        product_id: int, if_match: str | None, if_none_match: str | None
    ) -> int | None:
        """The version that a PUT is meant to replace (RFC 9110 §13.1.1, §13.1.2); none is any."""
        if not extensions:
            return None
        if if_match is None:
            return 0 if if_none_match == "*" else None
        config = (await backend.config(product_id)).mqtt_config
        accepted = [tag.strip() for tag in if_match.split(",")]
        if config is None or not ("*" in accepted or etag(config) in accepted):
            raise Stale(
                "The configuration was changed meanwhile", "Read it again, then repeat the change."
            )
        return config.version

    # Routes are tried in their order, and this one is asked for most.
    @router.get(
        "/products/{product_id}/mqtt-config/status",
        summary="Get connection status",
        response_model=ConnectionStatus,
        responses={
            **_ok(connected=examples.CONNECTED, disconnected=examples.DISCONNECTED),
            **NOT_FOUND,
            **INVALID,
        },
    )
    async def get_status(product_id: ProductId) -> Response:
        return documented(await backend.status(product_id))

    @router.get(
        "/products/{product_id}/mqtt-config",
        summary="Get full MQTT configuration",
        response_model=ConfigDocument,
        responses={
            **_ok(configured=examples.CONFIG_DOCUMENT, not_configured=examples.NOT_CONFIGURED),
            **NOT_FOUND,
            **INVALID,
        },
    )
    async def get_config(product_id: ProductId) -> Response:
        document = await backend.config(product_id)
        response = documented(document, exclude=None if document.message else {"message"})
        return tagged(response, document.mqtt_config)

    @router.put(
        "/products/{product_id}/mqtt-config",
        summary="Create/update MQTT configuration",
        response_model=ConfigSaved,
        responses={
            **_ok(saved=examples.CONFIG_SAVED),
            **NOT_FOUND,
            **STALE,
            **BODY,
            **INVALID,
        },
    )
    async def put_config(
        product_id: ProductId,
        draft: Annotated[ConfigDraft, Body(examples=[examples.CONFIG_DRAFT])],
        request: Request,
        if_match: Annotated[str | None, Header(description="The ETag to be replaced")] = None,
        if_none_match: Annotated[
            str | None, Header(description="`*`: only where nothing is configured yet")
        ] = None,
    ) -> Response:
        version = await expected_version(product_id, if_match, if_none_match)
        if not extensions:
            draft = draft.model_copy(update={"broker": _only(draft.broker, _BROKER)})
        saved = await backend.save_config(
            product_id, draft, if_version=version, by=_who_asks(request)
        )
        return tagged(documented(saved), saved.mqtt_config)

    @router.post(
        "/products/{product_id}/mqtt-config/test",
        summary="Test MQTT connection",
        response_model=Diagnosis if extensions else ConnectionTestResult,
        responses={
            **_ok(
                success=examples.TEST_PASSED,
                bad_credentials=examples.TEST_BAD_CREDENTIALS,
                not_authorized=examples.TEST_NOT_AUTHORIZED,
            ),
            **NOT_FOUND,
            **BODY,
            **INVALID,
        },
    )
    async def test_connection(
        product_id: ProductId,
        test: Annotated[ConnectionTest, Body(examples=[examples.TEST])],
    ) -> Response:
        test = test if extensions else _only(test, _TESTABLE)
        return documented(await backend.test_connection(product_id, test))

    @router.get(
        "/products/{product_id}/mqtt-config/subscriptions",
        summary="List event subscriptions",
        response_model=SubscriptionList,
        responses={**_ok(two=examples.SUBSCRIPTIONS), **NOT_FOUND, **INVALID},
    )
    async def get_subscriptions(product_id: ProductId) -> Response:
        found = await backend.subscriptions(product_id)
        return documented(SubscriptionList(subscriptions=tuple(found)))

    @router.put(
        "/products/{product_id}/mqtt-config/subscriptions/{subscription_id}",
        summary="Update subscription",
        response_model=SubscriptionSaved,
        responses={
            **_ok(toggled=examples.SUBSCRIPTION_UPDATED),
            **NOT_FOUND,
            **BODY,
            **INVALID,
        },
    )
    async def put_subscription(
        product_id: ProductId,
        subscription_id: SubscriptionId,
        change: Annotated[
            SubscriptionChange, Body(examples=[examples.TOGGLE, examples.FULL_UPDATE])
        ],
    ) -> Response:
        change = change if extensions else _only(change, _CHANGEABLE)
        updated = await backend.update_subscription(product_id, subscription_id, change)
        return documented(SubscriptionSaved(subscription=updated))

    @router.post(
        "/products/{product_id}/mqtt-config/reconnect",
        summary="Force reconnect",
        response_model=Success,
        responses={**_ok(triggered=examples.RECONNECTING), **NOT_FOUND, **NOT_NOW, **INVALID},
    )
    async def reconnect(product_id: ProductId) -> Response:
        await backend.reconnect(product_id)
        return answer(Success(message="Reconnection triggered. Check status in a few seconds."))

    return router


def _who_asks(request: Request) -> str:
    """Where a request comes from, and who is behind it by their own word: there is one token, and
    it names nobody."""
    address = request.client.host if request.client else "unknown"
    claimed = printable(request.headers.get("From", ""), limit=100)
    return f"{claimed} via {address}" if claimed else address
