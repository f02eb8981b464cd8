"""Public names in running text, such as ``mv.decompose``, lead to their place in the reference."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import mswin_viz as mv

NAME = re.compile(r"mv\.(\w+)")
PUBLIC = frozenset(mv.__all__) - {"__version__"}


class CodeLinks(SphinxTransform):
    """Makes a reference of code that begins with a public name, unless it stands in a link or a heading."""

    default_priority = 300

    def apply(self, **_options: Any) -> None:
        """Called by Sphinx for each document."""
        for literal in list(self.document.findall(nodes.literal)):
            named = NAME.match(literal.astext())
            if named is None or named[1] not in PUBLIC or isinstance(literal.parent, _HOLDING):
                continue
            reference = addnodes.pending_xref(
                "", literal.copy(), refdomain="py", reftype="obj", reftarget=f"mswin_viz.{named[1]}",
                refdoc=self.env.docname, refwarn=True,
            )  # fmt: skip
            reference[0].extend(literal.children)
            literal.replace_self(reference)


_HOLDING = (nodes.reference, addnodes.pending_xref, nodes.title, nodes.rubric)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
