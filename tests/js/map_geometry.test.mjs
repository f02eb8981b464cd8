// The maps of a saved page in numbers: mswin_viz/view/widgets/js/map_geometry.mjs. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import { arrowLine, at, between, cardPlace, dragged, nearestRow, pixelOf, placeOf, pointRadius, rowAfter, rowsByCode, showing, WHOLE, zoomed } from "../../mswin_viz/view/widgets/js/map_geometry.mjs";
import { wordsOf } from "../../mswin_viz/view/widgets/js/page_maps.mjs";

const SIZE = { width: 600, height: 400 };
const VIEW = { x: 0.2, y: -0.1, reach: 0.5 };
const close = (a, b) => a.forEach((one, i) => assert.ok(Math.abs(one - b[i]) < 1e-9, `${a} is not ${b}`));

test("a place and its pixel lead to each other, y goes up, and both directions have one scale", () => {
  close(placeOf(VIEW, SIZE, pixelOf(VIEW, SIZE, [0.31, 0.07])), [0.31, 0.07]);
  close(pixelOf(VIEW, SIZE, [0.2, -0.1]), [300, 200]);
  close(pixelOf(VIEW, SIZE, [0.7, 0.4]), [500, 0]);
  close(pixelOf(WHOLE, SIZE, [0, 1.06]), [300, 0]);
});

test("zooming keeps the place under the mouse, and has limits", () => {
  const nearer = zoomed(VIEW, SIZE, 0.5, [420, 90]);
  assert.equal(nearer.reach, 0.25);
  close(placeOf(nearer, SIZE, [420, 90]), placeOf(VIEW, SIZE, [420, 90]));
  close(Object.values(zoomed(nearer, SIZE, 2, [420, 90])), Object.values(VIEW));
  assert.ok(zoomed(VIEW, SIZE, 1e-9, [0, 0]).reach > 0);
  assert.equal(zoomed(VIEW, SIZE, 1e9, [0, 0]).reach, 2);
});

test("a drag moves the map with the mouse", () => {
  const before = placeOf(VIEW, SIZE, [100, 100]);
  close(placeOf(dragged(VIEW, SIZE, [30, -20]), SIZE, [130, 80]), before);
});

test("a point that is not seen comes into the middle, others move nothing", () => {
  assert.equal(showing(VIEW, SIZE, [0.3, 0]), VIEW);
  close(pixelOf(showing(VIEW, SIZE, [5, 5]), SIZE, [5, 5]), [300, 200]);
});

test("the nearest point is meant, and none where none is near: as a plain loop finds it", () => {
  const places = Float32Array.from({ length: 60 }, (_, i) => Math.sin(7 * i + 1));
  for (const pixel of [[300, 200], [10, 390], [480, 75]]) {
    const far = Array.from({ length: 30 }, (_, row) => {
      const [left, top] = pixelOf(WHOLE, SIZE, at(places, row));
      return Math.hypot(left - pixel[0], top - pixel[1]);
    });
    const least = Math.min(...far);
    assert.equal(nearestRow(places, WHOLE, SIZE, pixel, 1000), far.indexOf(least));
    assert.equal(nearestRow(places, WHOLE, SIZE, pixel, least - 0.01), -1);
    assert.equal(nearestRow(places, WHOLE, SIZE, pixel, least + 0.01), far.indexOf(least));
  }
});

test("a morph begins and ends at the maps themselves", () => {
  const [from, to] = [new Float32Array([0, 1]), new Float32Array([1, -1])];
  assert.equal(between(from, to, 0), from);
  assert.equal(between(from, to, 1), to);
  assert.deepEqual([...between(from, to, 0.25)], [0.25, 0.5]);
});

test("keys step through all points and stop at the ends", () => {
  assert.deepEqual(["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"].map((key) => rowAfter(key, 3, 9)), [4, 4, 2, 2]);
  assert.equal(rowAfter("ArrowRight", -1, 9), 0);
  assert.equal(rowAfter("ArrowLeft", -1, 9), 0);
  assert.equal(rowAfter("ArrowRight", 8, 9), 8);
  assert.deepEqual(["Home", "End", "b"].map((key) => rowAfter(key, 3, 9)), [0, 8, null]);
});

test("an arrow has two barbs of one length beside its tip, no longer than 0.03", () => {
  const [start, tip, one, again, other] = arrowLine([0.1, 0.2], [0.4, 0.6]);
  assert.deepEqual([start, tip, again], [[0.1, 0.2], [0.4, 0.6], [0.4, 0.6]]);
  const length = ([x, y]) => Math.hypot(x - 0.4, y - 0.6);
  close([length(one), length(other)], [0.03 * Math.hypot(1, 0.5), 0.03 * Math.hypot(1, 0.5)]);
  close([one[0] + other[0], one[1] + other[1]], [2 * (0.4 - 0.03 * 0.6), 2 * (0.6 - 0.03 * 0.8)]);
  assert.deepEqual(arrowLine([1, 1], [1, 1]), [[1, 1], [1, 1]]);
});

test("many points are small", () => {
  assert.deepEqual([10, 900, 1e6].map(pointRadius), [4.5, 2.5, 1.5]);
});

test("points are drawn colour by colour, each once", () => {
  assert.deepEqual([...rowsByCode(new Int32Array([2, 0, 2, 1]))], [[2, [0, 2]], [0, [1]], [1, [3]]]);
});

test("a card stands beside its point and within the map", () => {
  const card = { width: 200, height: 120 };
  assert.deepEqual(cardPlace([100, 200], card, SIZE), { left: 114, top: 140 });
  assert.deepEqual(cardPlace([500, 10], card, SIZE), { left: 286, top: 0 });
  assert.deepEqual(cardPlace([500, 395], card, SIZE), { left: 286, top: 280 });
  assert.deepEqual(cardPlace([100, 50], card, { width: 150, height: 80 }), { left: 0, top: 0 });
});

test("a point's words are those of its row", () => {
  assert.deepEqual(wordsOf({ identity: ["1", "2"], AP: ["a", "b"] }, 1), [["identity", "2"], ["AP", "b"]]);
});
