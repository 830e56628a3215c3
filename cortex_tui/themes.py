"""The two themes of the house. Screens name meanings (`$success`, `$foreground-muted`, …), never
colours, so that every Textual theme fits too."""

from difflib import get_close_matches

from textual.color import BLACK, WHITE, Color
from textual.theme import BUILTIN_THEMES, Theme

from cortex_tui.settings import Colour, SettingsError

DARK = Theme(
    name="cortex-dark",
    dark=True,
    primary="#6cb2eb",
    secondary="#8fa3bf",
    accent="#6cb2eb",
    success="#7cc98f",
    warning="#e3b566",
    error="#ee7f79",
    foreground="#d3dae3",
    background="#121518",
    surface="#191c20",
    panel="#22262b",
    variables={
        "text-primary": "#6cb2eb",
        "text-success": "#7cc98f",
        "text-warning": "#e3b566",
        "text-error": "#ee7f79",
        "foreground-muted": "#8592a3",
        "block-cursor-background": "#24405c",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-blurred-background": "#1d2935",
        "border": "#6cb2eb",
        "border-blurred": "#2a3440",
        "input-cursor-background": "#d3dae3",
        "input-cursor-foreground": "#121518",
        "input-selection-background": "#6cb2eb 30%",
        "scrollbar": "#2f3b49",
        "scrollbar-hover": "#3d4c5d",
        "scrollbar-active": "#6cb2eb",
        "scrollbar-background": "#121518",
        "scrollbar-background-hover": "#121518",
        "scrollbar-background-active": "#121518",
        "scrollbar-corner-color": "#121518",
    },
)

LIGHT = Theme(
    name="cortex-light",
    dark=False,
    primary="#1f66a8",
    secondary="#53657c",
    accent="#1f66a8",
    success="#2d7a43",
    warning="#95600a",
    error="#b3332c",
    foreground="#1f2933",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e9eae6",
    variables={
        "text-primary": "#1f66a8",
        "text-success": "#2d7a43",
        "text-warning": "#95600a",
        "text-error": "#b3332c",
        "foreground-muted": "#64707d",
        "block-cursor-background": "#cfe2f3",
        "block-cursor-foreground": "#0e1a26",
        "block-cursor-blurred-background": "#e6edf3",
        "border": "#1f66a8",
        "border-blurred": "#d4d6d1",
        "input-cursor-background": "#1f2933",
        "input-cursor-foreground": "#fbfbf9",
        "input-selection-background": "#1f66a8 25%",
        "scrollbar": "#cfd2cc",
        "scrollbar-hover": "#b9bdb6",
        "scrollbar-active": "#1f66a8",
        "scrollbar-background": "#fbfbf9",
        "scrollbar-background-hover": "#fbfbf9",
        "scrollbar-background-active": "#fbfbf9",
        "scrollbar-corner-color": "#fbfbf9",
    },
)

CONTEXTS: dict[Colour, str] = {
    "red": "#d64541",
    "orange": "#e08a2e",
    "yellow": "#d9b92f",
    "green": "#3fa45b",
    "cyan": "#35a7b5",
    "blue": "#5a8dee",
    "magenta": "#c264c2",
    "white": "#d7dbe0",
}
"""The colours a person may mark a context with: their own choice, so the same in every theme."""


def on_colour(colour: Colour) -> str:
    """How the name of a context of that colour is written: on it."""
    return f"bold #101316 on {CONTEXTS[colour]}"


def tint(colour: Colour | None, *, dark: bool) -> str:
    """What the line with the name is painted with, in a theme that is dark or not; nothing where
    there is no colour. It is the colour on black, or on white, so that what is written on it is
    read no worse than on the panel of the theme."""
    if colour is None:
        return "#000000 0%"
    base, share = (BLACK, 0.24) if dark else (WHITE, 0.12)
    return base.blend(Color.parse(CONTEXTS[colour]), share).hex


OURS = {theme.name: theme for theme in (DARK, LIGHT)}


def known() -> list[str]:
    """The names of all themes there are."""
    return sorted({*OURS, *BUILTIN_THEMES})


def checked(name: str, noun: str) -> str:
    """`name`, where there is such a theme. Raises `SettingsError`, which calls it `noun`."""
    names = known()
    if name in names:
        return name
    close = get_close_matches(name, names, 1)
    hint = f"Did you mean {close[0]}?" if close else f"The known ones: {', '.join(names)}."
    raise SettingsError(f"{noun}: there is no theme {name!r}", hint)
