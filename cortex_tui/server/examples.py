"""The JSON examples of the API reference, word for word: what the OpenAPI document shows and the
tests send and expect.

The one ellipsis of the reference, in the answer to an updated subscription (§5), is filled with
the same subscription's values from its list (§4).
"""

from typing import Any

CONFIG_DOCUMENT: dict[str, Any] = {
    "product_id": 2,
    "mqtt_config": {
        "id": 1,
        "product_id": 2,
        "broker": {
            "host": "api.platform.integrations.habit.io",
            "port": 8889,
            "use_tls": True,
            "verify_cert": False,
            "username": "habit-bre-tyres",
            "password": "***",
            "client_id": None,
            "keep_alive": 60,
            "clean_session": True,
        },
        "topics": {
            "prefix": "/v3/applications",
            "pattern": "{application_id}/business-events",
            "use_shared": True,
            "shared_group": "bre",
            "qos": 1,
        },
        "created_at": "2026-01-23T14:03:25.590525",
        "updated_at": "2026-01-23T14:03:25.590525",
    },
    "subscriptions": [
        {
            "id": 1,
            "name": "payment_marked_as_pending",
            "topic": "/v3/applications/ABC123/business-events",
            "enabled": True,
            "description": "Handles pending payment events",
            "actions": [
                {
                    "type": "conditional_email",
                    "condition": "payment.status == 'pending'",
                    "template": "payment_pending",
                }
            ],
            "stats": {
                "messages_received": 145,
                "last_message_at": "2026-01-23T13:45:22.123456",
                "actions_executed": 145,
                "actions_failed": 0,
            },
            "created_at": "2026-01-22T10:00:00.000000",
            "updated_at": "2026-01-23T14:03:25.590525",
        }
    ],
    "status": {
        "product_id": 2,
        "connected": True,
        "last_connected_at": "2026-01-23T14:00:00.000000",
        "last_disconnected_at": None,
        "connection_error": None,
        "messages_received": 1247,
        "last_message_at": "2026-01-23T14:05:30.123456",
        "subscribed_topics_count": 12,
        "client_id": "bre-tyres-instance-2-abc123",
        "broker_info": {"version": "5.0", "max_qos": 2},
        "updated_at": "2026-01-23T14:05:35.000000",
    },
}
NOT_CONFIGURED: dict[str, Any] = {
    "product_id": 2,
    "mqtt_config": None,
    "subscriptions": None,
    "status": None,
    "message": "MQTT not configured for this product",
}
CONFIG_DRAFT: dict[str, Any] = {
    "broker": {
        "host": "api.platform.integrations.habit.io",
        "port": 8889,
        "use_tls": True,
        "verify_cert": False,
        "username": "habit-bre-tyres",
        "password": "secure-password-123",
        "client_id": None,
        "keep_alive": 60,
        "clean_session": True,
    },
    "topics": {
        "prefix": "/v3/applications",
        "pattern": "{application_id}/business-events",
        "use_shared": True,
        "shared_group": "bre",
        "qos": 1,
    },
}
CONFIG_SAVED: dict[str, Any] = {
    "status": "success",
    "message": "MQTT configuration updated successfully",
    "requires_restart": True,
    "mqtt_config": {
        "id": 1,
        "product_id": 2,
        "broker": {
            "host": "api.platform.integrations.habit.io",
            "port": 8889,
            "use_tls": True,
            "verify_cert": False,
            "username": "habit-bre-tyres",
            "password": "***",
            "client_id": None,
            "keep_alive": 60,
            "clean_session": True,
        },
        "topics": {
            "prefix": "/v3/applications",
            "pattern": "{application_id}/business-events",
            "use_shared": True,
            "shared_group": "bre",
            "qos": 1,
        },
        "created_at": "2026-01-23T14:03:25.590525",
        "updated_at": "2026-01-23T14:03:25.590525",
    },
}
PRODUCT_NOT_FOUND: dict[str, Any] = {"detail": "Product not found"}
PORT_TOO_LARGE: dict[str, Any] = {
    "detail": [
        {
            "loc": ["body", "broker", "port"],
            "msg": "ensure this value is less than or equal to 65535",
            "type": "value_error.number.not_le",
        }
    ]
}
TEST: dict[str, Any] = {
    "host": "api.platform.integrations.habit.io",
    "port": 8889,
    "use_tls": True,
    "verify_cert": False,
    "username": "habit-bre-tyres",
    "password": "test-password",
}
TEST_PASSED: dict[str, Any] = {
    "status": "success",
    "connected": True,
    "latency_ms": 45,
    "error": None,
    "details": "Connected successfully",
}
TEST_BAD_CREDENTIALS: dict[str, Any] = {
    "status": "error",
    "connected": False,
    "latency_ms": None,
    "error": "Connection failed with code 4",
    "details": "Bad username or password",
}
TEST_NOT_AUTHORIZED: dict[str, Any] = {
    "status": "error",
    "connected": False,
    "latency_ms": None,
    "error": "Connection failed with code 5",
    "details": "Not authorized",
}
SUBSCRIPTIONS: dict[str, Any] = {
    "subscriptions": [
        {
            "id": 1,
            "name": "distributor_successful_created_policy",
            "topic": "/v3/applications/ABC123/business-events",
            "enabled": True,
            "description": "Triggers when distributor successfully creates a policy",
            "actions": [
                {"type": "activate_policy", "params": {"policy_id": "{{event.policy_id}}"}},
                {
                    "type": "conditional_email",
                    "condition": "event.sendEmail == true",
                    "template": "policy_activated",
                },
            ],
            "stats": {
                "messages_received": 234,
                "last_message_at": "2026-01-23T14:05:22.123456",
                "actions_executed": 468,
                "actions_failed": 0,
            },
            "created_at": "2026-01-22T10:00:00.000000",
            "updated_at": "2026-01-23T14:03:25.590525",
        },
        {
            "id": 2,
            "name": "payment_marked_as_pending",
            "topic": "/v3/applications/ABC123/business-events",
            "enabled": True,
            "description": "Handles pending payment notifications",
            "actions": [
                {
                    "type": "conditional_email",
                    "condition": "payment.status == 'pending'",
                    "template": "payment_pending",
                }
            ],
            "stats": {
                "messages_received": 145,
                "last_message_at": "2026-01-23T13:45:22.123456",
                "actions_executed": 145,
                "actions_failed": 0,
            },
            "created_at": "2026-01-22T10:00:00.000000",
            "updated_at": "2026-01-23T14:03:25.590525",
        },
    ]
}
TOGGLE: dict[str, Any] = {"enabled": False}
FULL_UPDATE: dict[str, Any] = {
    "enabled": True,
    "description": "Updated description for the subscription",
    "actions": [{"type": "activate_policy", "params": {"policy_id": "{{event.policy_id}}"}}],
}
SUBSCRIPTION_UPDATED: dict[str, Any] = {
    "status": "success",
    "message": "Subscription updated successfully",
    "subscription": {
        "id": 1,
        "name": "distributor_successful_created_policy",
        "topic": "/v3/applications/ABC123/business-events",
        "enabled": False,
        "description": "Triggers when distributor successfully creates a policy",
        "actions": [
            {"type": "activate_policy", "params": {"policy_id": "{{event.policy_id}}"}},
            {
                "type": "conditional_email",
                "condition": "event.sendEmail == true",
                "template": "policy_activated",
            },
        ],
        "stats": {
            "messages_received": 234,
            "last_message_at": "2026-01-23T14:05:22.123456",
            "actions_executed": 468,
            "actions_failed": 0,
        },
        "created_at": "2026-01-22T10:00:00.000000",
        "updated_at": "2026-01-23T14:10:25.590525",
    },
}
RECONNECTING: dict[str, Any] = {
    "status": "success",
    "message": "Reconnection triggered. Check status in a few seconds.",
}
CONNECTED: dict[str, Any] = {
    "product_id": 2,
    "connected": True,
    "last_connected_at": "2026-01-23T14:00:00.000000",
    "last_disconnected_at": "2026-01-23T13:59:55.000000",
    "connection_error": None,
    "messages_received": 1247,
    "last_message_at": "2026-01-23T14:05:30.123456",
    "subscribed_topics_count": 12,
    "client_id": "bre-tyres-instance-2-abc123",
    "broker_info": {"version": "5.0", "max_qos": 2},
    "updated_at": "2026-01-23T14:05:35.000000",
}
DISCONNECTED: dict[str, Any] = {
    "product_id": 2,
    "connected": False,
    "last_connected_at": "2026-01-23T14:00:00.000000",
    "last_disconnected_at": "2026-01-23T14:10:00.000000",
    "connection_error": "Connection lost: Broker unreachable",
    "messages_received": 1247,
    "last_message_at": "2026-01-23T14:05:30.123456",
    "subscribed_topics_count": 0,
    "client_id": "bre-tyres-instance-2-abc123",
    "broker_info": None,
    "updated_at": "2026-01-23T14:10:05.000000",
}
SUBSCRIPTION_NOT_FOUND: dict[str, Any] = {"detail": "Subscription not found"}
HOST_MISSING: dict[str, Any] = {
    "detail": [
        {"loc": ["body", "broker", "host"], "msg": "field required", "type": "value_error.missing"}
    ]
}
INTERNAL_ERROR: dict[str, Any] = {"detail": "Internal server error"}
