"""Settings of tabs: in the page's address, restored from it or from an image. Knows no model."""

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from unitok.page.tab import Tab


def keep_in_address(name: str, tab: Tab) -> None:
    """Write a tab's settings into the page's address whenever it has run, so that the page can be shared."""
    names = json.dumps([*tab.settings])
    script = f"""(...values) => {{
        const query = new URLSearchParams({{tab: {json.dumps(name.lower())}}});
        {names}.forEach((name, k) => query.set(name, values[k]));
        window.history.replaceState(null, "", "?" + query);
    }}"""
    for run in tab.runs:
        run.then(None, [*tab.settings.values()], None, js=script)


def outputs_of(tabs: gr.Tabs, all_tabs: Mapping[str, Tab]) -> list[Block]:
    """The components of which `restored` gives the values."""
    return [tabs, *(one for tab in all_tabs.values() for one in tab.settings.values())]


def restored(all_tabs: Mapping[str, Tab], given: Mapping[str, Any]) -> list[Any]:
    """Values of `outputs_of` from an address or an image: `given` has the tab and its settings by name.

    What is absent, unknown or no number where a number is needed leaves its component as it is.
    """
    chosen = str(given.get("tab", "")).lower()
    known = chosen in map(str.lower, all_tabs)
    values = [gr.Tabs(selected=chosen) if known else gr.skip()]
    for name, tab in all_tabs.items():
        for setting, component in tab.settings.items():
            here = name.lower() == chosen and setting in given
            values.append(_value(component, given[setting]) if here else gr.skip())
    return values


def _value(component: Component, value: Any) -> Any:
    """A value as its component takes it; skips what it does not take."""
    if isinstance(component, gr.Slider | gr.Number):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return gr.skip()
        low, high = component.minimum, component.maximum
        inside = (low is None or low <= number) and (high is None or number <= high)
        return number if inside else gr.skip()
    if isinstance(component, gr.Dropdown):
        return value if value in [choice for _, choice in component.choices] else gr.skip()
    return str(value)
