"""Options by keyword become one record; a name that does not exist is refused with the nearest one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mswin_viz.data.options import options_of
from mswin_viz.errors import OptionError


@dataclass(frozen=True)
class Settings:
    perplexity: float = 30.0
    seed: int = 0


def test_given_options_replace_the_defaults() -> None:
    assert options_of(Settings, {"seed": 3}, function="project") == Settings(30.0, 3)


def test_an_option_that_does_not_exist_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(OptionError, match=r"project has no option 'perplexty': did you mean perplexity\?"):
        options_of(Settings, {"perplexty": 3}, function="project")


def test_an_option_like_no_other_is_refused_with_all_of_them() -> None:
    with pytest.raises(OptionError, match="the options are perplexity, seed"):
        options_of(Settings, {"q": 3}, function="project")
