import assert from "node:assert/strict";
import test from "node:test";

import { places, smoothed, span } from "../../mswin_viz/view/widgets/js/curve.mjs";

test("the span holds every finite value and leaves room", () => {
  const { lo, hi } = span([2, NaN, 4, Infinity]);
  assert.ok(lo < 2 && hi > 4 && lo > 1 && hi < 5);
  assert.equal(span([NaN]), null);
});

test("one value alone still has a span", () => {
  const { lo, hi } = span([3]);
  assert.ok(lo < 3 && hi > 3);
});

test("later steps lie further right and larger values higher up", () => {
  const [[x0, y0], [x1, y1]] = places([1, 5], [1, 2], { lo: 0, hi: 3 }, 10);
  assert.ok(x1 > x0 && y1 < y0);
});

test("the smoothed curve is the mean of what came last", () => {
  assert.deepEqual(smoothed([1, 3, 5], 2), [1, 2, 4]);
});
