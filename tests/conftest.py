"""What every test may ask for; the fixtures for real brokers are described in `tests.brokers`."""

pytest_plugins = [
    "tests.brokers",
    "tests.counterparts",
    "tests.orchestrators",
    "tests.webservers",
    "tests.mailservers",
    "tests.processes",
]
