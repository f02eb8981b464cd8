"""Lanes: the kinds of tests of one run, counted apart.

The tests run in one go, since lanes one after another would each end with processes that wait for the last file. A table at the end
says what each lane passed and how long its tests took; ``--lane browser`` (``make test LANE=browser``) runs one alone.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["LANES", "Counts", "counted", "lane_of", "table"]

LANES = ("unit", "node", "browser", "notebooks", "wheel", "smoke", "torture")
"""The first that has no mark of its own is ``unit``."""
_MARKED = ("torture", "smoke", "wheel", "browser", "node")


@dataclass
class Counts:
    """What became of the tests of one lane."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0  # of all processes together
    names: list[str] = field(default_factory=list)  # of what failed
    notes: list[str] = field(default_factory=list)  # a test's record_property("lane note", words)

    @property
    def n_tests(self) -> int:
        return self.passed + self.failed + self.skipped


def lane_of(nodeid: str, marks: Container[str]) -> str:
    """The lane of a test, by its file and its marks."""
    if nodeid.partition("::")[0].endswith(".ipynb"):
        return "notebooks"
    return next((name for name in _MARKED if name in marks), "unit")


def counted(reports: Iterable[pytest.TestReport]) -> dict[str, Counts]:
    """Lane -> its counts, in the order of ``LANES``; lanes without a test are left out."""
    lanes = {name: Counts() for name in LANES}
    for report in reports:
        counts = lanes[lane_of(report.nodeid, report.keywords)]
        counts.seconds += report.duration
        if report.failed:  # in a fixture too
            counts.failed += 1
            counts.names.append(report.nodeid)
        elif report.skipped:
            counts.skipped += 1
        elif report.when == "call":
            counts.passed += 1
            counts.notes += [str(words) for name, words in report.user_properties if name == "lane note"]
    return {name: counts for name, counts in lanes.items() if counts.n_tests}


def table(lanes: dict[str, Counts]) -> list[str]:
    """Lines of text, a lane each; what failed stands below its lane."""
    lines = [f"{'lane':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    for name, counts in lanes.items():
        lines.append(
            f"{name:<12}{counts.passed:>8}{counts.failed:>8}{counts.skipped:>9}{counts.seconds:>9.0f}"
        )
        lines += [f"  failed: {name}" for name in counts.names]
        lines += [f"  {note}" for note in counts.notes]
    return lines


# ---- what pytest calls ----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lane", choices=LANES, help="only the tests of one lane; smoke and torture need -m as well"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--lane")
    if wanted:
        lanes = [lane_of(item.nodeid, {mark.name for mark in item.iter_markers()}) for item in items]
        config.hook.pytest_deselected(
            items=[item for item, lane in zip(items, lanes, strict=True) if lane != wanted]
        )
        items[:] = [item for item, lane in zip(items, lanes, strict=True) if lane == wanted]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table; ``$LANES_FILE`` gets a line for each lane too (name, passed, failed, skipped, seconds), for ``.ci/run``."""
    if hasattr(terminalreporter.config, "workerinput"):  # the first process counts for all
        return
    reports = [
        report
        for kind in terminalreporter.stats.values()
        for report in kind
        if isinstance(report, pytest.TestReport)
    ]
    lanes = counted(reports)
    if len(lanes) > 1 or any(counts.notes for counts in lanes.values()):
        terminalreporter.section("lanes; seconds of all processes together")
        for line in table(lanes):
            terminalreporter.write_line(line)
    if os.environ.get("LANES_FILE"):
        with Path(os.environ["LANES_FILE"]).open("a", encoding="utf-8") as file:
            for name, counts in lanes.items():
                file.write(
                    f"{name}\t{counts.passed}\t{counts.failed}\t{counts.skipped}\t{counts.seconds:.0f}\n"
                )
