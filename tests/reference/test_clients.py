"""The client examples of the API reference, as they stand: curl, Python, and fetch under Node.

Only the port is another one, since 8004 may be taken; and Node, which has no page that a path
could be relative to, is told where the orchestrator is.
"""

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.server import examples
from cortex_tui.states import ConnectionState
from tests.orchestrators import reaches
from tests.reference.conftest import HOST, PRODUCT, Reference

EXAMPLES = Path(__file__).with_name("clients.md").read_text()
(POLICY, _) = examples.SUBSCRIPTIONS["subscriptions"]

CALLS_IN_JAVASCRIPT = """
const [origin, config, credentials] = process.argv.slice(1);
const page = globalThis.fetch;
globalThis.fetch = (path, options) => page(origin + path, options);
const draft = JSON.parse(config);
const answers = {
  saved: await updateMQTTConfig(2, draft),
  config: await getMQTTConfig(2),
  toggled: await toggleSubscription(2, 1, false),
  tested: await testConnection(2, JSON.parse(credentials)),
};
try {
  await updateMQTTConfig(3, draft);
} catch (error) {
  answers.failed = error.message;
}
console.log(JSON.stringify(answers));
"""

CALLS_IN_PYTHON = """
import json, sys
from requests import HTTPError
answers = {"saved": result, "config": get_mqtt_config(2)}
answers["tested"] = test_connection(2, json.loads(sys.argv[1]))
try:
    get_mqtt_config(3)
except HTTPError as error:
    answers["failed"] = error.response.status_code
print(json.dumps(answers))
"""


def example(language: str) -> str:
    """The example in `language`."""
    found = re.search(rf"```{language}\n(.*?)```", EXAMPLES, re.DOTALL)
    assert found
    return found[1]


def require(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


async def output(*command: str) -> str:
    """What a program prints; the loop goes on serving meanwhile."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def prepare(reference: Reference) -> None:
    await reference.subscribe(POLICY)
    await reference.connect()


def assert_answered(answers: dict[str, Any]) -> None:
    assert answers["saved"]["message"] == examples.CONFIG_SAVED["message"]
    assert answers["config"]["mqtt_config"]["broker"]["host"] == HOST
    assert answers["config"]["mqtt_config"]["broker"]["password"] == "***"
    assert answers["tested"]["connected"] is True


async def test_curl(reference: Reference, broker: Mosquitto) -> None:
    require("bash", "curl", "jq")
    await prepare(reference)
    script = example("bash").replace("http://localhost:8004", reference.url)

    printed = await output("bash", "-euo", "pipefail", "-c", script)

    answers = json.loads("[" + printed.replace("}\n{", "},{") + "]")
    config, saved, tested, toggled, reconnecting, status = answers
    assert_answered({"config": config, "saved": saved, "tested": tested})
    assert toggled["subscription"]["enabled"] is False
    assert reconnecting == examples.RECONNECTING
    assert status["product_id"] == PRODUCT
    await reaches(reference.inside, PRODUCT, ConnectionState.CONNECTED)


async def test_python(reference: Reference, broker: Mosquitto) -> None:
    await prepare(reference)
    script = example("python").replace("http://localhost:8004", reference.url)

    printed = await output(
        sys.executable, "-c", script + CALLS_IN_PYTHON, json.dumps(examples.TEST)
    )

    answers = json.loads(printed.splitlines()[-1])
    assert_answered(answers)
    assert answers["failed"] == 404


async def test_fetch(reference: Reference, broker: Mosquitto) -> None:
    require("node")
    await prepare(reference)
    arguments = [reference.url, json.dumps(examples.CONFIG_DRAFT), json.dumps(examples.TEST)]

    printed = await output(
        "node", "--input-type=module", "-e", example("javascript") + CALLS_IN_JAVASCRIPT, *arguments
    )

    answers = json.loads(printed)
    assert_answered(answers)
    assert answers["toggled"]["subscription"]["enabled"] is False
    assert answers["failed"] == "Failed to update configuration"
