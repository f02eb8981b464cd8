// Numbers, windows and what each panel shows: the pure functions of mswin_viz/view/widgets/js/. Run: node --test tests/js/
import assert from "node:assert/strict";
import { test } from "node:test";

import * as numbers from "../../mswin_viz/view/widgets/js/numbers.mjs";
import { fitted, layoutOf } from "../../mswin_viz/view/widgets/js/paint.mjs";
import * as panels from "../../mswin_viz/view/widgets/js/panels.mjs";
import { markBeside, ranOn, steppedBy } from "../../mswin_viz/view/widgets/js/steps.mjs";
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
  const fittedWidth = (width, count) => fitted({ width, height: Infinity }, { count, pictures: 1, widest: 168 }, [COLS, ROWS]);
  assert.deepEqual(fittedWidth(1100, 7), { lines: 1, width: 150 });
  assert.deepEqual(fittedWidth(2400, 7), { lines: 1, width: 168 });
  assert.deepEqual(fittedWidth(650, 7), { lines: 2, width: 155 }); // four and three
  assert.ok(fittedWidth(90, 7).width <= 90);
});

test("all panels of all pictures fit into the height there is, down to a width that is legible", () => {
  const grid = [16, 8];
  for (const [width, height, pictures] of [[984, 670, 1], [984, 670, 3], [604, 500, 1], [604, 700, 2], [2000, 400, 1]]) {
    const { lines, width: each } = fitted({ width, height }, { count: 7, pictures, widest: 168 }, grid);
    const rows = pictures * lines;
    assert.ok(rows * (2 * each + 27) <= height);
    assert.ok(Math.ceil(7 / lines) * each <= width);
    assert.ok(each >= 66);
  }
  const crowded = fitted({ width: 604, height: 300 }, { count: 7, pictures: 3, widest: 168 }, grid);
  assert.deepEqual(crowded, { lines: 1, width: 66 }); // what does not fit is below
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
  const ranges = (shared) => panels.withRanges(columns, shared).map(({ ranges: [range, other] }) => {
    assert.equal(range, other);
    return [range.lo, range.hi];
  });
  assert.deepEqual(ranges(false), [[1, 3], [0, 9], [-7, 7]]);
  assert.deepEqual(ranges(true), [[0, 9], [0, 9], [-7, 7]]);
});

test("rows of differences have a colour range of their own, the same on both sides of zero", () => {
  const read = (values, key) => panels.readColumn(columnOf(values, { scale: 3, stride: 3, tile: null }, { key }), 2, 3, 3);
  const columns = [read([1, 2, 3, 8, 2, 6], "a"), read([NaN, NaN, 4, 5, NaN, NaN], "b")];
  const differences = [false, false, true];
  const ranges = (shared) => panels.withRanges(columns, shared, differences).map(({ ranges: all }) => all.map((one) => one && [one.lo, one.hi]));
  assert.deepEqual(ranges(false), [[[1, 8], [1, 8], [-6, 6]], [[4, 5], [4, 5], null]]);
  assert.deepEqual(ranges(true), [[[1, 8], [1, 8], [-6, 6]], [[1, 8], [1, 8], [-6, 6]]]);
});

test("a row is drawn with its own numbers; a difference is signed; a row that lacks the panel has no colours", () => {
  const column = columnOf([1, 2, 3, 8, 2, 6], { scale: 3, stride: 3, tile: null }, { absent: [1] });
  const [read] = panels.withRanges([panels.readColumn(column, 2, 3, 3)], false, [false, false, true]);
  const [value, absent, difference] = [0, 1, 2].map((row) => panels.panelOf(read, row, row === 2));
  assert.deepEqual([...value.values], [1, 2]);
  assert.deepEqual([value.signed, value.what, value.isAbsent, value.range.hi], [false, "value", false, 8]);
  assert.deepEqual([absent.isAbsent, absent.range], [true, null]);
  assert.deepEqual([difference.signed, difference.what, difference.range.lo], [true, "difference", -6]);
  assert.ok(windows.describe(0, difference).includes("difference 2"));
});

test("a pin is seen in every row of its image", () => {
  const rows = [{ group: 0 }, { group: 0 }, { group: 1 }, { group: null }, { group: null }];
  assert.ok(panels.isSameImage(rows, 0, 1));
  assert.ok(!panels.isSameImage(rows, 1, 2));
  assert.ok(panels.isSameImage(rows, 3, 3));
  assert.ok(!panels.isSameImage(rows, 3, 4));
  assert.ok(!panels.isSameImage(rows, 9, 0)); // a pin may be older than the rows
});

const ASKED = { scale: 12, stride: 0, windows: "runs", tile_rows: 4, tile_cols: 4, kernel: "auto", value: "norm", channel: 0, target: "own" };
const status = (key, moved, about = {}) => panels.statusOf(
  { key }, { ...ASKED, ...moved }, { answered: ASKED, failed: null, fused: false, fits: null, ...about });

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

test("the free windows of every scale are current at once while nothing but the scale has moved", () => {
  const { scale, ...fits } = ASKED;
  assert.equal(status("free", { scale: 77 }, { fits }), "live");
  assert.equal(status("free", { scale: 77, value: "share" }, { fits }), "busy");
  assert.equal(status("free", { scale: 77, value: "share" }, { fits: { ...fits, value: "share" } }), "live");
  assert.equal(status("free", { scale: 77, stride: 2 }, { fits }), "busy");
  assert.equal(status("free", { scale: 77 }, { fits: {} }), "busy");
  assert.equal(status("scale-8", { scale: 77, target: "text" }, { fits }), "busy");
  assert.equal(scale, 12);
});

// The free windows of a 2 x 3 grid at every scale, for two pictures: value 100 * picture + 10 * scale + window.
function pyramidOf(nRows = 2) {
  const scales = [1, 2, 3, 4, 5, 6];
  const one = (scale, row) => Array.from({ length: Math.floor(6 / scale) }, (_, w) => 100 * row + 10 * scale + w);
  const values = scales.flatMap((scale) => Array.from({ length: nRows }, (_, row) => one(scale, row)).flat());
  const each = (words) => scales.map((scale) => `${words} ${scale}`);
  return {
    key: "free", unit: "share", signed: true, titles: each("scale"), origins: each("resampled from"), words: each("windows of"),
    values: atOddAddress(Float32Array.from(values)),
  };
}

test("every scale has its windows, words and kernel, row after row", () => {
  const read = panels.readPyramid(pyramidOf(), 2, 3, 2);
  assert.ok(read.isWhole);
  const column = read.at(4);
  assert.deepEqual([column.title, column.origin, column.words], ["scale 4", "resampled from 4", "windows of 4"]);
  assert.deepEqual([column.key, column.unit, column.signed, column.geometry.count], ["free", "share", true, 1]);
  assert.deepEqual(column.values.map((values) => [...values]), [[40], [140]]);
  assert.deepEqual([...column.cells[1]], [140, 140, 140, 140, NaN, NaN]);
  assert.deepEqual(read.at(2).values.map((values) => [...values]), [[20, 21, 22], [120, 121, 122]]);
  assert.equal(read.at(4), column); // the same again, so that nothing is painted twice
});

test("a scale that was sent is what the kernel answers for that scale alone", () => {
  const { at } = panels.readPyramid(pyramidOf(), 2, 3, 2);
  const alone = panels.readColumn(columnOf([30, 31, 130, 131], { scale: 3, stride: 3, tile: null }), 2, 3, 2);
  assert.equal(at(3).geometry, alone.geometry);
  assert.deepEqual(at(3).cells, alone.cells);
});

test("scales of another number of pictures are not drawn", () => {
  assert.ok(!panels.readPyramid(pyramidOf(2), 2, 3, 1).isWhole);
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

test("numbers are told in the unit that is shown", () => {
  const geometry = windows.geometryOf({ scale: 2, stride: null, tile: null }, 2, 2);
  const panel = { geometry, cells: [0.0002, 0.0002, -0.003, -0.003], values: [0.0002, -0.003] };
  assert.ok(windows.describe(0, panel).includes("value 2.0e−4"));
  assert.ok(windows.describe(0, { ...panel, factor: 1000 }).includes("value 0.2"));
  assert.equal(numbers.spanInWords([0.0002, -0.003], 1000), "values −3 to 0.2");
});

test("a slider jumps to the marked place beside it and runs on from its end to its start", () => {
  const at = (value) => ({ value, min: 1, max: 20, marks: [16, 4, 8] });
  assert.deepEqual([1, 4, 9, 16, 20].map((value) => markBeside(at(value), 1)), [4, 8, 16, 16, 20]);
  assert.deepEqual([1, 4, 9, 16, 20].map((value) => markBeside(at(value), -1)), [1, 4, 8, 8, 16]);
  assert.deepEqual([1, 19, 20].map((value) => ranOn(at(value))), [2, 20, 1]);
});

test("keys lead a slider one on, to its ends or to the next marked place, and never beyond", () => {
  const place = { value: 5, min: 1, max: 20, marks: [4, 8] };
  const keys = ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "Home", "End", "PageUp", "PageDown", "b"];
  assert.deepEqual(keys.map((key) => steppedBy(key, place)), [6, 6, 4, 4, 1, 20, 8, 4, null]);
  assert.equal(steppedBy("ArrowRight", { ...place, value: 20 }), 20);
});
