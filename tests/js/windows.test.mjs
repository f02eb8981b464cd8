// Numbers, windows and what each panel shows: the pure functions of mswin_viz/view/widgets/js/. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import * as numbers from "../../mswin_viz/view/widgets/js/numbers.mjs";
import { fittedWidth, layoutOf } from "../../mswin_viz/view/widgets/js/paint.mjs";
import * as panels from "../../mswin_viz/view/widgets/js/panels.mjs";
import * as windows from "../../mswin_viz/view/widgets/js/windows.mjs";

const ROWS = 20;
const COLS = 30; // not square: a swap of rows and columns fails
const N = ROWS * COLS;

const runs = (scale, nTokens, stride = 0) => windows.tokensOf({ scale, stride }, 1, nTokens);

// The bytes of an array as anywidget gives them, at an odd address.
function atOddAddress(array) {
  const moved = new Uint8Array(array.byteLength + 1);
  moved.set(new Uint8Array(array.buffer), 1);
  return new DataView(moved.buffer, 1);
}

test("NaN and infinities do not poison the colour range", () => {
  assert.deepEqual(numbers.valueRange([NaN, 2, Infinity, 5, -Infinity]), { lo: 2, hi: 5 });
  assert.equal(numbers.valueRange([NaN, Infinity]), null);
  assert.equal(numbers.valueRange([], { signed: true }), null);
});

test("a signed range is symmetric about zero", () => {
  assert.deepEqual(numbers.valueRange([-1, 3, NaN], { signed: true }), { lo: -3, hi: 3 });
  assert.deepEqual(numbers.valueRange([-7, 3], { signed: true }), { lo: -7, hi: 7 });
  assert.equal(numbers.normalise(0, { lo: -7, hi: 7 }), 0.5);
});

test("values outside a range take its ends", () => {
  assert.equal(numbers.normalise(9, { lo: 0, hi: 4 }), 1);
  assert.equal(numbers.normalise(-9, { lo: 0, hi: 4 }), 0);
});

test("a range without width has one colour, the middle one", () => {
  assert.equal(numbers.normalise(3, { lo: 3, hi: 3 }), 0.5);
  assert.ok(Number.isNaN(numbers.normalise(NaN, { lo: 3, hi: 3 })));
});

test("the threshold measures from zero where signed, from the low end otherwise", () => {
  assert.equal(numbers.strength(-4, { lo: -4, hi: 4 }, true), 1);
  assert.equal(numbers.strength(-1, { lo: -4, hi: 4 }, true), 0.25);
  assert.equal(numbers.strength(3, { lo: 2, hi: 6 }, false), 0.25);
});

test("colour indices stay inside the table", () => {
  assert.deepEqual([0, 0.5, 0.9999, 1].map(numbers.colourIndex), [0, 128, 255, 255]);
});

test("a colour map goes by its name, or by the values' sign", () => {
  const auto = { unsigned: "viridis", signed: "RdBu_r" };
  assert.equal(numbers.mapName("magma", auto, true), "magma");
  assert.equal(numbers.mapName("auto", auto, false), "viridis");
  assert.equal(numbers.mapName("auto", auto, true), "RdBu_r");
});

test("numbers are short and keep their sign", () => {
  assert.equal(numbers.formatNumber(-0.49623), "−0.496");
  assert.equal(numbers.formatNumber(123456789), "1.2e8");
  assert.equal(numbers.formatNumber(0.0000321), "3.2e−5");
  assert.equal(numbers.formatNumber(0), "0");
  assert.equal(numbers.formatNumber(NaN), "not a number");
});

test("each cell shows its window's value on a 20 x 30 grid", () => {
  const scale = 7;
  const flat = runs(scale, ROWS * COLS);
  const values = Array.from({ length: flat.length / scale }, (_, w) => w * w);
  const cells = windows.foldWindows(values, windows.coverage(flat, scale, ROWS * COLS));
  for (let r = 0; r < ROWS; r++)
    for (let c = 0; c < COLS; c++) {
      const window = Math.floor((r * COLS + c) / scale);
      const expected = window < values.length ? values[window] : NaN;
      assert.ok(Object.is(cells[r * COLS + c], expected), `row ${r}, column ${c}`);
    }
});

test("overlapping windows are averaged, not-finite ones left out", () => {
  const cover = windows.coverage(runs(2, 5, 1), 2, 5);
  assert.deepEqual(cover, [[0], [0, 1], [1, 2], [2, 3], [3]]);
  assert.deepEqual([...windows.foldWindows([1, 3, NaN, Infinity], cover)], [1, 2, 3, NaN, NaN]);
});

test("outlines run between cells of different windows only, with wrapped pieces apart", () => {
  const cover = windows.coverage(runs(4, 6), 4, 6); // 2 x 3: [0 0 0 / 0 - -], the last two dropped
  assert.deepEqual(windows.windowEdges(cover, 2, 3), [[1, 1, 1, 2], [1, 1, 2, 1], [2, 1, 3, 1]]);
});

test("the number of outline edges on 20 x 30 agrees with counting neighbours", () => {
  const window = (r, c) => Math.floor((r * COLS + c) / 8);
  let count = 0;
  for (let r = 0; r < ROWS; r++)
    for (let c = 0; c < COLS; c++) {
      if (c + 1 < COLS && window(r, c) !== window(r, c + 1)) count++;
      if (r + 1 < ROWS && window(r, c) !== window(r + 1, c)) count++;
    }
  const cover = windows.coverage(runs(8, ROWS * COLS), 8, ROWS * COLS);
  const edges = windows.windowEdges(cover, ROWS, COLS);
  assert.equal(edges.length, count);
  assert.ok(edges.every(([c0, r0, c1, r1]) => c0 <= c1 && r0 <= r1 && c1 <= COLS && r1 <= ROWS));
});

test("with a rim, a region at the border of the grid is closed", () => {
  assert.equal(windows.edgesBetween(["lit", "", "", ""], 2, 2, true).length, 4);
  assert.equal(windows.edgesBetween(["lit", "", "", ""], 2, 2).length, 2);
});

test("a point of the picture finds its token", () => {
  const [width, height] = [300, 200];
  assert.equal(windows.hitTest(0, 0, width, height, ROWS, COLS), 0);
  assert.equal(windows.hitTest(295, 5, width, height, ROWS, COLS), COLS - 1);
  assert.equal(windows.hitTest(5, 195, width, height, ROWS, COLS), (ROWS - 1) * COLS);
  assert.equal(windows.hitTest(299.9, 199.9, width, height, ROWS, COLS), ROWS * COLS - 1);
  for (const [x, y] of [[-1, 5], [5, -1], [300, 5], [5, 200]])
    assert.equal(windows.hitTest(x, y, width, height, ROWS, COLS), -1);
});

test("patches are square whatever the grid", () => {
  assert.deepEqual(layoutOf(150, ROWS, COLS).height, 100);
  assert.deepEqual(layoutOf(150, COLS, ROWS).height, 225);
});

test("panels stand on as many lines as they need to stay legible", () => {
  assert.equal(fittedWidth(1100, 7, 168), 146);
  assert.equal(fittedWidth(2400, 7, 168), 168);
  assert.equal(fittedWidth(650, 7, 168), 151); // four and three
  assert.ok(fittedWidth(90, 7, 168) <= 90);
});

test("binary traits are read at any address", () => {
  assert.deepEqual([...numbers.readFloats(atOddAddress(new Float32Array([1.5, -2])))], [1.5, -2]);
  assert.equal(numbers.readFloats(null).length, 0);
});

test("runs are laid end to end or overlap, tiles are squares of patches", () => {
  assert.deepEqual([...windows.tokensOf({ scale: 2, stride: 0 }, 1, 5)], [0, 1, 2, 3]);
  assert.deepEqual([...windows.tokensOf({ scale: 2, stride: 1 }, 1, 4)], [0, 1, 1, 2, 2, 3]);
  assert.deepEqual([...windows.tokensOf({ tile: [2, 2], stride: 0 }, 3, 5)], [0, 1, 5, 6, 2, 3, 7, 8]);
  assert.deepEqual([...windows.tokensOf({ tile: [2, 3], stride: 1 }, 3, 4)].slice(-6), [5, 6, 7, 9, 10, 11]);
});

test("a run that wraps a row end without touching itself is disconnected, a tile never is", () => {
  const torn = (scale, cols, n) => [...windows.tornWindows(runs(scale, n), scale, cols)];
  assert.deepEqual(torn(3, 8, 24), [2, 5]);
  assert.deepEqual(torn(12, 8, 24), []);
  assert.deepEqual(torn(4, 30, 60), [7]);
  assert.equal(windows.geometryOf({ tile: [4, 4], stride: 0 }, 16, 8).torn.size, 0);
  assert.ok(windows.geometryOf({ scale: 3, stride: 0 }, 3, 8).cuts.length > 0);
});

test("window means computed here are those of a plain loop, for runs, overlaps and tiles", () => {
  const dim = 3;
  const tokens = Float32Array.from({ length: N * dim }, (_, i) => Math.sin(i) * 4);
  const direction = Float32Array.from([1, -2, 0.5]);
  for (const spec of [{ scale: 7, stride: 0 }, { scale: 8, stride: 3 }, { tile: [4, 4], stride: 0 }]) {
    const { windows: flat, scale, count } = windows.geometryOf(spec, ROWS, COLS);
    const reduced = (value) => windows.meansReduced(tokens, dim, flat, scale, { value, channel: 2, direction });
    const [norms, cosines, channels] = ["norm", "cosine", "channel"].map(reduced);
    for (let w = 0; w < count; w++) {
      const mean = [0, 1, 2].map((d) => {
        let sum = 0;
        for (let k = 0; k < scale; k++) sum += tokens[flat[w * scale + k] * dim + d];
        return sum / scale;
      });
      const dot = mean[0] - 2 * mean[1] + 0.5 * mean[2];
      assert.ok(Math.abs(norms[w] - Math.hypot(...mean)) < 1e-9);
      assert.ok(Math.abs(channels[w] - mean[2]) < 1e-9);
      assert.ok(Math.abs(cosines[w] - dot / Math.hypot(...mean) / Math.hypot(1, 2, 0.5)) < 1e-9);
    }
  }
});

test("a window of length zero has cosine zero", () => {
  const flat = Int32Array.of(0, 1);
  const direction = Float32Array.of(1, 0);
  assert.deepEqual([...windows.meansReduced(new Float32Array(4), 2, flat, 2, { value: "cosine", direction })], [0]);
});

function columnOf(values, spec, more = {}) {
  const column = { key: "free", title: "scale", origin: "mean", unit: "norm", signed: false, ...spec, ...more };
  return { ...column, values: atOddAddress(Float32Array.from(values)) };
}

test("a column is split into rows of values, each folded on the grid", () => {
  const read = panels.readColumn(columnOf([1, 2, 3, 4], { scale: 3, stride: 3, tile: null }), 2, 3, 2);
  assert.deepEqual(read.cells.map((cells) => [...cells]), [[1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]]);
});

test("a colour range is one for all rows of a column, or one for all columns of a unit", () => {
  const read = (values, more) => panels.readColumn(columnOf(values, { scale: 3, stride: 3, tile: null }, more), 2, 3, 2);
  const columns = [
    read([1, 2, 3, NaN], { key: "a" }),
    read([0, 9, 5, 5], { key: "b" }),
    read([-7, 3, 0, 1], { key: "c", unit: "share", signed: true }),
  ];
  const ranges = (shared) => panels.withRanges(columns, shared).map(({ range }) => [range.lo, range.hi]);
  assert.deepEqual(ranges(false), [[1, 3], [0, 9], [-7, 7]]);
  assert.deepEqual(ranges(true), [[0, 9], [0, 9], [-7, 7]]);
});

const ASKED = { scale: 12, stride: 0, windows: "runs", tile_rows: 4, tile_cols: 4, kernel: "auto", value: "norm", channel: 0, target: "own" };
const status = (key, moved, about = {}) => panels.statusOf(
  { key }, { ...ASKED, ...moved }, { answered: ASKED, failed: null, fused: false, hasTokens: false, ...about });

test("an answer that fits the controls is current, any other is marked until the next one", () => {
  assert.equal(status("free", {}), "");
  assert.equal(status("free", { scale: 13 }), "busy");
  assert.equal(status("scale-8", { target: "text" }), "busy");
  assert.equal(status("free", { scale: 13 }, { failed: { ...ASKED, scale: 13 } }), "stale");
});

test("the trained panels do not wait for a move of the free scale, unless it stands in the fusion", () => {
  assert.equal(status("scale-8", { scale: 13, stride: 2 }), "");
  assert.equal(status("scale-8", { scale: 13 }, { fused: true }), "busy");
});

test("plain means are current at once where the tokens are here, shares never", () => {
  const means = { answered: { ...ASKED, kernel: "mean" }, hasTokens: true, hasDirections: true };
  assert.equal(status("free", { kernel: "mean", scale: 77 }, means), "live");
  assert.equal(status("free", { windows: "tiles", tile_rows: 8 }, means), "live");
  assert.equal(status("free", { kernel: "mean", scale: 77, value: "share" }, means), "busy");
  assert.equal(status("free", { kernel: "mean", scale: 77, target: "shift" }, means), "busy");
  assert.equal(status("free", { kernel: "auto", scale: 77 }, means), "busy");
  assert.equal(status("free", { kernel: "mean", scale: 77 }, { ...means, hasTokens: false }), "busy");
  const cosine = { kernel: "mean", scale: 77, value: "cosine" };
  assert.equal(status("free", cosine, means), "live");
  assert.equal(status("free", cosine, { ...means, hasDirections: false }), "busy");
  assert.equal(status("free", { kernel: "mean", scale: 77 }, { ...means, hasDirections: false }), "live");
});

test("a live column has the windows that the controls ask for", () => {
  const tokens = [{ patches: new Float32Array(6).fill(2), dim: 1, direction: Float32Array.of(1) }];
  const asked = { ...ASKED, windows: "tiles", tile_rows: 2, tile_cols: 3, value: "cosine" };
  const live = panels.liveColumn({ key: "free", title: "scale 12" }, asked, 2, 3, tokens);
  assert.equal(live.title, "2x3 tiles");
  assert.deepEqual([live.unit, live.signed, [...live.values[0]]], ["cosine", true, [1]]);
});

test("the tooltip names window, tokens, place and value", () => {
  const scale = 45; // a row and a half of 30
  const geometry = windows.geometryOf({ scale, stride: 0 }, ROWS, COLS);
  const values = Float32Array.from({ length: 13 }, (_, w) => w / 4);
  const state = { geometry, values, cells: windows.foldWindows(values, geometry.cover) };
  assert.deepEqual(windows.describe(50, state),
    ["Window 1", "tokens 45–89", "row 1, columns 15–29; row 2, columns 0–29", "value 0.25"]);
  assert.deepEqual(windows.describe(599, state), ["Token 599", "row 19, column 29", "dropped: in no window"]);
});

test("the tooltip tells a disconnected window and leaves out the token range of a tile", () => {
  const torn = windows.geometryOf({ scale: 4, stride: 0 }, 2, 6);
  const words = (geometry, token) => windows.describe(token, { geometry, values: [0, 1, 2], cells: [] });
  assert.deepEqual(words(torn, 6),
    ["Window 1", "tokens 4–7", "row 0, columns 4–5; row 1, columns 0–1", "disconnected: it wraps a row end", "value 1"]);
  assert.deepEqual(words(windows.geometryOf({ tile: [2, 2], stride: 0 }, 2, 6), 8), ["Window 1", "rows 0–1, columns 2–3", "value 1"]);
});

test("whole rows are told as a rectangle, overlaps by their mean", () => {
  assert.equal(windows.describePlace([60, 61, 90, 91], COLS), "rows 2–3, columns 0–1");
  const geometry = windows.geometryOf({ scale: 2, stride: 1 }, 1, 3);
  const values = [1, 2];
  const state = { geometry, values, cells: windows.foldWindows(values, geometry.cover) };
  assert.deepEqual(windows.describe(1, state), ["Windows 0, 1", "token 1: row 0, column 1", "mean 1.5"]);
});

test("a picture is out of date where another one was asked for, and not where the panels alone are", () => {
  const answered = { serial: 0, selected: 1, second: 2, modality: "RGB", rows: "one", shuffle: 0, scale: 4, value: "norm", target: "own", prompt: "a" };
  const of = (moved, failed = null) => panels.pictureStatus({ ...answered, ...moved }, { answered, failed });
  assert.equal(of({}), "");
  assert.equal(of({ scale: 9, value: "cosine", target: "shift", prompt: "b", second: 5 }), "");
  for (const moved of [{ serial: 1 }, { selected: 3 }, { modality: "NI" }, { rows: "modalities" }, { shuffle: 4 }, { rows: "pair", second: 5 }]) {
    assert.equal(of(moved), "busy");
    assert.equal(of(moved, { ...answered, ...moved }), "stale");
    assert.equal(of(moved, answered), "busy");
  }
  const pair = { ...answered, rows: "pair" };
  assert.equal(panels.pictureStatus({ ...pair, second: 5 }, { answered: pair, failed: null }), "busy");
});
