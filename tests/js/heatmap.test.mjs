// The pure functions of mswin_viz/view/heatmap.js. Run: node --test tests/js/
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const file = new URL("../../mswin_viz/view/heatmap.js", import.meta.url);
const source = readFileSync(file).toString("base64"); // as a browser loads it, whatever node takes .js for
const heatmap = await import(`data:text/javascript;base64,${source}`);

const ROWS = 20;
const COLS = 30; // not square: a swap of rows and columns fails

function runs(scale, nTokens, stride = scale) {
  const windows = [];
  for (let first = 0; first + scale <= nTokens; first += stride)
    for (let k = 0; k < scale; k++) windows.push(first + k);
  return windows;
}

// A model as anywidget gives it, with every binary trait at an odd address.
function modelOf(traits) {
  const binary = (array) => {
    const bytes = new Uint8Array(array.buffer);
    const moved = new Uint8Array(bytes.length + 1);
    moved.set(bytes, 1);
    return new DataView(moved.buffer, 1);
  };
  return { get: (name) => (ArrayBuffer.isView(traits[name]) ? binary(traits[name]) : traits[name]) };
}

test("NaN and infinities do not poison the colour range", () => {
  assert.deepEqual(heatmap.valueRange([NaN, 2, Infinity, 5, -Infinity]), { lo: 2, hi: 5 });
  assert.equal(heatmap.valueRange([NaN, Infinity]), null);
  assert.equal(heatmap.valueRange([], { signed: true }), null);
});

test("a signed range is symmetric about zero", () => {
  assert.deepEqual(heatmap.valueRange([-1, 3, NaN], { signed: true }), { lo: -3, hi: 3 });
  assert.deepEqual(heatmap.valueRange([-7, 3], { signed: true }), { lo: -7, hi: 7 });
  assert.deepEqual(heatmap.valueRange([-7, 3], { signed: true, vmin: -4, vmax: 2 }), { lo: -4, hi: 4 });
  assert.equal(heatmap.normalise(0, { lo: -7, hi: 7 }), 0.5);
});

test("given ends win over the values' own", () => {
  assert.deepEqual(heatmap.valueRange([1, 9], { vmin: 0, vmax: 4 }), { lo: 0, hi: 4 });
  assert.deepEqual(heatmap.valueRange([1, 9], { vmin: 0 }), { lo: 0, hi: 9 });
  assert.deepEqual(heatmap.valueRange([1, 9], { vmin: 20 }), { lo: 20, hi: 20 });
  assert.equal(heatmap.normalise(9, { lo: 0, hi: 4 }), 1);
  assert.equal(heatmap.normalise(-9, { lo: 0, hi: 4 }), 0);
});

test("a range without width has one colour, the middle one", () => {
  assert.equal(heatmap.normalise(3, { lo: 3, hi: 3 }), 0.5);
  assert.ok(Number.isNaN(heatmap.normalise(NaN, { lo: 3, hi: 3 })));
});

test("the threshold measures from zero where signed, from the low end otherwise", () => {
  assert.equal(heatmap.strength(-4, { lo: -4, hi: 4 }, true), 1);
  assert.equal(heatmap.strength(-1, { lo: -4, hi: 4 }, true), 0.25);
  assert.equal(heatmap.strength(3, { lo: 2, hi: 6 }, false), 0.25);
});

test("colour indices stay inside the table", () => {
  assert.deepEqual([0, 0.5, 0.9999, 1].map(heatmap.colourIndex), [0, 128, 255, 255]);
});

test("a colour map goes by name, by position, or by sign", () => {
  const names = ["viridis", "magma", "RdBu_r"];
  assert.equal(heatmap.mapName("magma", names, true), "magma");
  assert.equal(heatmap.mapName(2, names, false), "magma");
  assert.equal(heatmap.mapName("auto", names, false), "viridis");
  assert.equal(heatmap.mapName(0, names, true), "RdBu_r");
});

test("numbers are short and keep their sign", () => {
  assert.equal(heatmap.formatNumber(-0.49623), "−0.496");
  assert.equal(heatmap.formatNumber(123456789), "1.2e8");
  assert.equal(heatmap.formatNumber(0.0000321), "3.2e−5");
  assert.equal(heatmap.formatNumber(0), "0");
  assert.equal(heatmap.formatNumber(NaN), "not a number");
});

test("each cell shows its window's value on a 20 x 30 grid", () => {
  const scale = 7;
  const windows = runs(scale, ROWS * COLS);
  const values = Array.from({ length: windows.length / scale }, (_, w) => w * w);
  const cells = heatmap.foldWindows(values, heatmap.coverage(windows, scale, ROWS * COLS));
  for (let r = 0; r < ROWS; r++)
    for (let c = 0; c < COLS; c++) {
      const window = Math.floor((r * COLS + c) / scale);
      const expected = window < values.length ? values[window] : NaN;
      assert.ok(Object.is(cells[r * COLS + c], expected), `row ${r}, column ${c}`);
    }
});

test("overlapping windows are averaged, not-finite ones left out", () => {
  const cover = heatmap.coverage(runs(2, 5, 1), 2, 5);
  assert.deepEqual(cover, [[0], [0, 1], [1, 2], [2, 3], [3]]);
  assert.deepEqual([...heatmap.foldWindows([1, 3, NaN, Infinity], cover)], [1, 2, 3, NaN, NaN]);
});

test("outlines run between cells of different windows only, with wrapped pieces apart", () => {
  const cover = heatmap.coverage(runs(4, 6), 4, 6); // 2 x 3: [0 0 0 / 0 - -], the last two dropped
  assert.deepEqual(heatmap.windowEdges(cover, 2, 3), [[1, 1, 1, 2], [1, 1, 2, 1], [2, 1, 3, 1]]);
});

test("the number of outline edges on 20 x 30 agrees with counting neighbours", () => {
  const window = (r, c) => Math.floor((r * COLS + c) / 8);
  let count = 0;
  for (let r = 0; r < ROWS; r++)
    for (let c = 0; c < COLS; c++) {
      if (c + 1 < COLS && window(r, c) !== window(r, c + 1)) count++;
      if (r + 1 < ROWS && window(r, c) !== window(r + 1, c)) count++;
    }
  const cover = heatmap.coverage(runs(8, ROWS * COLS), 8, ROWS * COLS);
  const edges = heatmap.windowEdges(cover, ROWS, COLS);
  assert.equal(edges.length, count);
  assert.ok(edges.every(([c0, r0, c1, r1]) => c0 <= c1 && r0 <= r1 && c1 <= COLS && r1 <= ROWS));
});

test("with a rim, a region at the border of the grid is closed", () => {
  assert.equal(heatmap.edgesBetween(["lit", "", "", ""], 2, 2, true).length, 4);
  assert.equal(heatmap.edgesBetween(["lit", "", "", ""], 2, 2).length, 2);
});

test("a point of the picture finds its token", () => {
  const [width, height] = [300, 200];
  assert.equal(heatmap.hitTest(0, 0, width, height, ROWS, COLS), 0);
  assert.equal(heatmap.hitTest(295, 5, width, height, ROWS, COLS), COLS - 1);
  assert.equal(heatmap.hitTest(5, 195, width, height, ROWS, COLS), (ROWS - 1) * COLS);
  assert.equal(heatmap.hitTest(299.9, 199.9, width, height, ROWS, COLS), ROWS * COLS - 1);
  for (const [x, y] of [[-1, 5], [5, -1], [300, 5], [5, 200]])
    assert.equal(heatmap.hitTest(x, y, width, height, ROWS, COLS), -1);
});

test("patches are square whatever the grid", () => {
  assert.deepEqual(heatmap.layoutOf(150, ROWS, COLS).height, 100);
  assert.deepEqual(heatmap.layoutOf(150, COLS, ROWS).height, 225);
});

test("binary traits are read at any address", () => {
  const data = heatmap.readData(modelOf({
    ...{ grid_rows: 2, grid_cols: 3, scale: 2, values: new Float32Array([1.5, -2]) },
    ...{ windows: new Int32Array([0, 1, 2, 3]), dropped: new Int32Array([4, 5]) },
  }));
  assert.deepEqual([...data.values], [1.5, -2]);
  assert.deepEqual([...data.cells], [1.5, 1.5, -2, -2, NaN, NaN]);
  assert.deepEqual([...data.dropped], [4, 5]);
  assert.equal(heatmap.readFloats(null).length, 0);
});

test("the tooltip names window, tokens, place and value", () => {
  const scale = 45; // a row and a half of 30
  const windows = Int32Array.from(runs(scale, ROWS * COLS));
  const values = Float32Array.from({ length: 13 }, (_, w) => w / 4);
  const state = { cols: COLS, scale, windows, values, dropped: new Set([585, 599]) };
  state.cover = heatmap.coverage(windows, scale, ROWS * COLS);
  state.cells = heatmap.foldWindows(values, state.cover);
  assert.deepEqual(heatmap.describe(50, state),
    ["Window 1", "tokens 45–89", "row 1, columns 15–29; row 2, columns 0–29", "value 0.25"]);
  assert.deepEqual(heatmap.describe(599, state), ["Token 599", "row 19, column 29", "dropped: in no window"]);
});

test("whole rows are told as a rectangle, overlaps by their mean", () => {
  assert.equal(heatmap.describePlace([60, 61, 90, 91], COLS), "rows 2–3, columns 0–1");
  const windows = Int32Array.from(runs(2, 3, 1));
  const cover = heatmap.coverage(windows, 2, 3);
  const values = [1, 2];
  const state = { cols: 3, scale: 2, windows, values, cover, dropped: new Set(), cells: heatmap.foldWindows(values, cover) };
  assert.deepEqual(heatmap.describe(1, state), ["Windows 0, 1", "token 1: row 0, column 1", "mean 1.5"]);
});
