"""Keys that a widget acts on before it is given the next."""

from textual import events
from textual.widget import Widget


async def act_at_once(widget: Widget, event: events.Key) -> None:
    """Carry out what `widget` itself binds to a key, for its `_on_key`.

    Textual lets a key go up to the app first, and acts then: what is typed meanwhile, by somebody
    fast or by a script, would be in the field before a ctrl+u that came earlier.
    """
    for binding in widget._bindings.key_to_bindings.get(event.key, ()):
        if await widget.app.run_action(binding.action, widget):
            event.stop()
            event.prevent_default()
            return
