"""The secrets that a draft or a test means and does not bring along: those that are stored."""

from cortex_tui.backend import FieldProblem, Invalid
from cortex_tui.local import tls
from cortex_tui.local.store import Store
from cortex_tui.models import TLS_MATERIAL, BrokerConfig, ConnectionTest


class StoredSecrets:
    """Those of one orchestrator. Methods block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def complete(self, product_id: int, test: ConnectionTest) -> ConnectionTest:
        """`test` with the secrets it means: a password for no other broker or user than its own,
        a key for no other certificate."""
        config = self._store.config(product_id)
        if config is None:
            return test
        stored, secrets = config.broker, {}
        if test.new_password is None:
            same = (stored.host, stored.port, stored.username)
            asked = (test.host, test.port, test.username) == same
            secrets["password"] = self._store.password(product_id) if asked else None
        if test.new_key is None:
            asked = test.client_cert is not None and test.client_cert == stored.client_cert
            secrets["client_key"] = self._store.client_key(product_id) if asked else None
        return test.model_copy(update=secrets)

    def check(self, product_id: int, broker: BrokerConfig) -> None:
        """Raise `Invalid` where certificate and key, as they will be stored, cannot be used."""
        if not broker.model_fields_set & TLS_MATERIAL:
            return
        complete = broker
        if broker.client_cert is not None and broker.new_key is None:
            stored_key = self._store.client_key(product_id)
            complete = broker.model_copy(update={"client_key": stored_key})
        try:
            tls.check(complete)
        except tls.UnusableMaterial as error:
            raise Invalid([FieldProblem(("broker", error.field), str(error))]) from None
