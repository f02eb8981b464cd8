"""Every error this package raises on purpose. Each also derives from the built-in it refines."""

from __future__ import annotations


class MswinVizError(Exception):
    """Base of every error raised by mswin_viz; catch this to catch them all.

    The others stand in :mod:`mswin_viz.errors`; each also derives from the built-in error that it refines. A message states the
    rule, what was got, and what to do.

    Examples
    --------
    >>> from mswin_viz.errors import ScaleError
    >>> try:
    ...     mv.windows((16, 8), 0)
    ... except mv.MswinVizError as problem:
    ...     print(isinstance(problem, ScaleError), isinstance(problem, ValueError), problem)
    True True a scale is a whole number of tokens in 1..128 on a 16x8 grid: got 0
    """


class ShapeError(MswinVizError, ValueError):
    """An array, tensor or grid does not have the shape a function needs."""


class ScaleError(MswinVizError, ValueError):
    """A window scale or stride does not fit the number of patch tokens."""


class OptionError(MswinVizError, ValueError):
    """An option is not one of those on offer, or two options exclude each other."""


class OutputError(MswinVizError, OSError):
    """A file or folder cannot be written: no permission, no space, or another program is using it."""


class CacheError(MswinVizError, ValueError):
    """What a cache holds is damaged or is not what was asked for; it is made again."""


class PromptError(MswinVizError, ValueError):
    """A text prompt is empty, too long, or holds no word the text tower knows."""


class ImageError(MswinVizError, ValueError):
    """An image's shape or values cannot be interpreted."""


class ImageFileError(MswinVizError, OSError):
    """An image file is missing, truncated, or not an image."""


class DataError(MswinVizError, FileNotFoundError):
    """A data set folder is missing, empty, or not in a known layout."""


class WeightsError(MswinVizError, ValueError):
    """A weight file was read but its keys or shapes do not fit the model."""


class WeightsNotFoundError(MswinVizError, FileNotFoundError):
    """Weights are not on this machine and could not be downloaded."""


class ConfigError(MswinVizError, ValueError):
    """A configuration file is not YAML, or a value in it has the wrong type or does not fit the weights."""


class ConfigNotFoundError(MswinVizError, FileNotFoundError):
    """A configuration file does not exist."""


class DeviceError(MswinVizError, RuntimeError):
    """The requested device is not available on this machine."""


class ClosedError(MswinVizError, RuntimeError):
    """A view was used after its ``close()``; its threads, caches and widgets are gone."""


class StoppedError(MswinVizError, RuntimeError):
    """Work was stopped on request before it was done; there is no result."""


class StoreError(MswinVizError, ValueError):
    """A store of features is damaged, is of another model or list of images, or lacks what is asked for."""


class WorkerError(MswinVizError, RuntimeError):
    """A worker process was killed, for example because memory ran out."""
