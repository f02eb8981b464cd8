"""Run by ``test_wheel.py`` in an environment that has the wheel alone: every explorer, its page and figure, its scripts.

Prints one JSON document. It may import nothing of this repository but the package.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import anywidget
import ipywidgets

import mswin_viz as mv


def scripts(root: ipywidgets.Widget) -> dict[str, list[int]]:
    """Class of every widget in ``root`` that brings a script -> characters of its script and of its style."""
    found: dict[str, list[int]] = {}
    waiting, seen = [root], set()
    while waiting:
        widget = waiting.pop()
        if id(widget) in seen:
            continue
        seen.add(id(widget))
        if isinstance(widget, anywidget.AnyWidget):
            found[type(widget).__name__] = [len(str(widget._esm)), len(str(widget._css))]
        values = [getattr(widget, name) for name in widget.keys if name not in ("_esm", "_css")]
        for value in values:
            held = value if isinstance(value, (list, tuple)) else [value]
            waiting += [one for one in held if isinstance(one, ipywidgets.Widget)]
    return found


def main() -> None:
    model, samples = mv.load_model(), mv.samples()[:6]
    table = mv.embed(model, samples, progress=False)
    explorers = {
        "scales": mv.ScaleExplorer(model, samples[:1]),
        "attributions": mv.AttributionExplorer(model, samples[:1], prompt="a person"),
        "retrieval": mv.RetrievalView(model, samples, table=table),
        "embeddings": mv.EmbeddingExplorer(model, samples, table=table, view=mv.embedding_view(table)),
    }
    explorers["scales"].save_figure("scales.png")
    explorers["attributions"].controls.methods.value = ("gradient_x_input",)
    explorers["attributions"].start().join(300)
    found = {}
    for name, explorer in explorers.items():
        found[name] = scripts(explorer)
        options = {} if name == "attributions" else {"images": 1}
        explorer.to_html(f"{name}.html", **options)
        explorer.close()
    print(
        json.dumps(
            {
                "package": mv.__file__,
                "version": mv.__version__,
                "installed": importlib.metadata.version("mswin-viz"),
                "path": [str(Path(one).resolve()) for one in sys.path],
                "modules": [
                    module.__file__
                    for module in list(sys.modules.values())
                    if getattr(module, "__name__", "").startswith("mswin_viz") and module.__file__
                ],
                "scripts": found,
            }
        )
    )


main()
