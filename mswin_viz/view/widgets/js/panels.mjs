// What each panel of the board shows now: the kernel's answer, the scale asked for out of all that the kernel sent, or an
// answer that no longer fits.
// Pure functions: node tests them.
import { readFloats, spanInWords, valueRange } from "./numbers.mjs";
import { foldWindows, geometryOf } from "./windows.mjs";

export const GEOMETRY = ["scale", "stride", "windows", "tile_rows", "tile_cols"];
export const PICTURES = ["serial", "selected", "modality", "rows", "shuffle"];

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export function changedNames(asked, answered) {
  return Object.keys(asked).filter((name) => !same(asked[name], answered[name]));
}

// Whether the scales that were sent are those of what the controls ask for, whatever the scale.
export function isSent(asked, fits) {
  const names = Object.keys(fits ?? {});
  return names.length > 0 && names.every((name) => same(asked[name], fits[name]));
}

// "" where the answer is what the controls ask for; "live" where the free windows were sent at every scale; "busy" while
// the kernel works on it; "stale" where it has said that it cannot.
export function statusOf(column, asked, { answered, failed, fused, fits }) {
  const changed = changedNames(asked, answered);
  const isFree = column.key === "free";
  if (!changed.length || (!isFree && !fused && changed.every((name) => GEOMETRY.includes(name)))) return "";
  if (isFree && isSent(asked, fits)) return "live";
  return failed && !changedNames(asked, failed).length ? "stale" : "busy";
}

// The same of the picture beside the panels, which other windows and values leave as it is.
export function pictureStatus(asked, { answered, failed }) {
  const names = asked.rows === "pair" ? [...PICTURES, "second"] : PICTURES;
  if (!changedNames(asked, answered).some((name) => names.includes(name))) return "";
  return failed && !changedNames(asked, failed).length ? "stale" : "busy";
}

const equal = (a, b) => a.length === b.length && a.every((value, at) => Object.is(value, b[at]));

// A column as the kernel sent it: one geometry, and for each row its values. `old` itself where nothing has changed,
// so that nothing is drawn again.
export function readColumn(column, rows, cols, nRows, old = null) {
  const geometry = geometryOf(column, rows, cols);
  const all = readFloats(column.values);
  const kept = old && old.geometry === geometry && old.values.length === nRows && equal(all, old.all);
  if (kept && ["title", "origin", "unit", "words"].every((name) => old[name] === column[name])) return old;
  const values = Array.from({ length: nRows }, (_, i) => all.subarray(i * geometry.count, (i + 1) * geometry.count));
  return withCells({ ...column, geometry, all, values });
}

// The free windows at every scale: `at(scale)` is the column. Values stand scale after scale, in each row after row.
export function readPyramid(pyramid, rows, cols, nRows) {
  const all = readFloats(pyramid.values);
  const nTokens = rows * cols;
  const firsts = [0];
  for (let scale = 1; scale <= nTokens; scale++) firsts.push(firsts[scale - 1] + nRows * Math.floor(nTokens / scale));
  const made = new Map();
  const make = (scale) => {
    const { key, unit, signed, titles, origins, words } = pyramid;
    const about = { key, unit, signed, title: titles[scale - 1], origin: origins[scale - 1], words: words[scale - 1], absent: [] };
    const values = all.subarray(firsts[scale - 1], firsts[scale]);
    return readColumn({ ...about, scale, stride: scale, tile: null, values }, rows, cols, nRows);
  };
  const at = (scale) => {
    if (!made.has(scale)) made.set(scale, make(scale));
    return made.get(scale);
  };
  return { at, isWhole: all.length === firsts[nTokens] };
}

function withCells(column) {
  return { ...column, cells: column.values.map((values) => foldWindows(values, column.geometry.cover)) };
}

// The colour range of each row of each column: one for all rows, or for all columns of a unit. Rows of differences
// (`differences[row]`) have their own, about zero.
export function withRanges(columns, shared, differences = []) {
  const pool = new Map();
  const name = (column, row) => `${shared ? column.unit : column.key}${differences[row] ? ", difference" : ""}`;
  for (const column of columns) {
    column.values.forEach((own, row) => {
      const signed = column.signed || Boolean(differences[row]);
      const { values } = pool.get(name(column, row)) ?? { values: [] };
      values.push(...own);
      pool.set(name(column, row), { values, signed });
    });
  }
  const ranges = new Map([...pool].map(([key, { values, signed }]) => [key, valueRange(values, { signed })]));
  return columns.map((column) => ({ ...column, ranges: column.values.map((_, row) => ranges.get(name(column, row))) }));
}

// What is drawn in one row of a column: a model's numbers, or differences, which are signed; nothing where a model has
// no such panel.
export function panelOf(column, row, isDifference = false) {
  const { cells, values, ranges } = column;
  const isAbsent = Boolean(column.absent?.includes(row));
  return {
    ...column, cells: cells[row], values: values[row], range: isAbsent ? null : ranges[row], isAbsent,
    signed: column.signed || isDifference, what: isDifference ? "difference" : "value",
  };
}

// Whether two rows show the same image: as two models see it, or their difference.
export function isSameImage(rows, a, b) {
  const group = (at) => rows[at]?.group ?? null;
  return a === b || (group(a) !== null && group(a) === group(b));
}

// What a screen reader says of one heatmap.
export function labelOf(column, rowName, row) {
  const what = [rowName, column.title, column.origin].filter(Boolean).join(", ");
  return `${what}: ${column.geometry.count} windows, ${spanInWords(column.values[row], column.factor)}`;
}

// The words under a heatmap: what the numbers are, and windows in pieces.
export function captionOf(column, units) {
  const n = column.geometry.torn.size;
  return [units[column.unit], ...(n ? [`${n} disconnected`] : [])].join("; ");
}
