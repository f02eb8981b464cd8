"""Every known layout. A new data set is a module with a ``LAYOUT``, and a line here."""

from __future__ import annotations

from mswin_viz.data.sets import (
    market,
    msmt17,
    msvr310,
    regdb,
    rgbnt100,
    rgbnt201,
    sysu_mm01,
    wmveid863,
)

SETS = {
    layout.name: layout
    for layout in (
        wmveid863.LAYOUT,  # before RGBNT201, which reads its names too
        rgbnt201.LAYOUT,
        rgbnt100.LAYOUT,
        msvr310.LAYOUT,
        market.MARKET1501_RGBNT,
        market.MARKET1501,
        market.DUKEMTMC,
        msmt17.LAYOUT,
        market.VERI776,
        sysu_mm01.LAYOUT,
        regdb.LAYOUT,
        market.MARKET_STYLE,
    )
}
"""Name -> layout of a published set, or of a family of sets; if several fit, the first that reads most pictures."""
