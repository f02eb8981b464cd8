"""The widgets of a view as the models of a saved page."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import ipywidgets as widgets

from mswin_viz.view.page.page_plan import PagePlan, PageTable, menu_values
from mswin_viz.view.page.page_values import PageValues
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.guarded import OLD
from mswin_viz.view.widgets.markup import Html

_OF_CONTROLS = (
    "_model_name", "description", "tooltip", "tooltips", "_options_labels", "index", "value", "min", "max", "step",
)  # fmt: skip
_OF_ANY = ("_dom_classes", "tooltip")
_LAYOUT = (
    "width", "height", "margin", "padding", "display", "flex", "flex_flow", "align_items", "grid_gap", "min_width",
    "max_width", "overflow", "border",
)  # fmt: skip
_NOT_OURS = re.compile(r"_.*|layout|tabbable|comm|keys")


class PageModels:
    """The parts of a view that its page shows, and those that they read: their ids in the page, traits and scripts."""

    def __init__(self, plan: PagePlan) -> None:
        self._plan, self._hidden = plan, set(plan.hidden)
        tree = {widget.model_id: widget for widget in _inside(plan.root, self._hidden, plan.replaced)}
        self._shown = [widget for widget in tree.values() if self._is_shown(widget)]
        read = [tree[name] for widget in self._shown for name in _references(widget) if name in tree]
        every = dict.fromkeys([*self._shown, *read])
        self._names = {widget: f"w{at}" for at, widget in enumerate(every)}
        self.values = PageValues({widget.model_id: name for widget, name in self._names.items()}, plan.words)
        self.scripts: dict[str, str] = {}  # text of a module -> its name
        self.styles: list[str] = []

    def name(self, widget: widgets.Widget) -> str:
        """A widget's id in the page."""
        return self._names[widget]

    def traits(self) -> dict[str, Any]:
        """Id -> traits of every model, as the page has them at first."""
        return {name: self._traits(widget) for widget, name in self._names.items()}

    def changes(self, changes: Mapping[widgets.Widget, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Id -> what stands for the new values of its traits; without those of parts that the page does not have."""
        return {
            self._names[widget]: {trait: self.values.of(value) for trait, value in traits.items()}
            for widget, traits in changes.items()
            if widget in self._names
        }

    def axes(self, table: PageTable) -> list[list[Any]]:
        """Each control of a table as the page reads it: its id, the trait, and the values that a position stands for."""
        axes = []
        for control, trait in table.axes:
            is_menu = trait == "value" and hasattr(control, "_options_labels")
            values = menu_values(control, self._plan.changed.get(control, {})) if is_menu else None
            axes.append([self._names[control], "index" if is_menu else trait, values])
        return axes

    def _is_shown(self, widget: widgets.Widget) -> bool:
        if widget in self._plan.replaced:
            return True
        if isinstance(widget, widgets.Box):
            return widget is self._plan.root or any(self._is_shown(child) for child in self._children(widget))
        return isinstance(widget, Html) or hasattr(widget, "_esm") or widget in self._plan.live

    def _children(self, box: widgets.Box) -> list[widgets.Widget]:
        return [child for child in box.children if child not in self._hidden]

    def _traits(self, widget: widgets.Widget) -> dict[str, Any]:
        state = widget.get_state()
        traits = {name: state[name] for name in _OF_ANY if name in state} | {"layout": _layout(widget)}
        traits["_dom_classes"] = [name for name in state.get("_dom_classes", ()) if name != OLD]
        part = self._plan.replaced.get(widget)
        if part is not None:
            traits |= {**part.traits, "script": self._drawn_by(script(part.script), style(part.style))}
        elif "_esm" in state:
            traits |= {name: value for name, value in state.items() if not _NOT_OURS.fullmatch(name)}
            traits |= {"script": self._drawn_by(state["_esm"], state["_css"])}
        elif isinstance(widget, widgets.Box):
            shown = set(self._shown)
            children = [self._names[child] for child in self._children(widget) if child in shown]
            traits |= {"_model_name": state["_model_name"], "children": children}
        else:
            traits |= {name: state[name] for name in _OF_CONTROLS if name in state}
            traits |= {"value": widget.value} if isinstance(widget, Html) else {}
            width = getattr(getattr(widget, "style", None), "description_width", None)
            traits |= {"style": {"description_width": width}}
        traits |= self._plan.changed.get(widget, {})
        return {name: self.values.of(value) for name, value in traits.items()}

    def _drawn_by(self, text: str, css: str) -> str:
        self.styles += [css] if css not in self.styles else []
        return self.scripts.setdefault(text, f"script{len(self.scripts)}")


def _inside(
    widget: widgets.Widget, hidden: AbstractSet[widgets.Widget], whole: Container[widgets.Widget]
) -> Iterator[widgets.Widget]:
    """A widget and what is in it, without those that are hidden, and without what is in the whole ones."""
    if widget in hidden:
        return
    yield widget
    for child in () if widget in whole else getattr(widget, "children", ()):
        yield from _inside(child, hidden, whole)


def _references(widget: widgets.Widget) -> list[str]:
    """Ids of the widgets that a part of ours reads."""
    if not hasattr(widget, "_esm"):
        return []
    names = ("watched", "followed")
    entries = [entry for name in names for entry in getattr(widget, name, {}).values()]
    return [control.model_id for control, *_ in entries]


def _layout(widget: widgets.Widget) -> dict[str, str]:
    layout = getattr(widget, "layout", None)
    every = {name: getattr(layout, name, None) for name in _LAYOUT}
    return {name: str(value) for name, value in every.items() if value}
