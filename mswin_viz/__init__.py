"""See what a CLIP image encoder, and a multi-scale sliding-window module on top of it, look at.

The public names stand in ``__init__.pyi``. They are loaded on first use: importing the package imports neither torch nor
matplotlib.
"""

import lazy_loader

from mswin_viz import renamed as _renamed

__version__ = "0.1.0"

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """A public name; one that was renamed still works, with a warning."""
    return _public(_renamed.public_name(name))


_renamed.install()
