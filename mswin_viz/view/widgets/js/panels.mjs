// What each panel of the board shows now: the kernel's answer, one computed here, or an answer that no longer fits.
// Pure functions: node tests them.
import { readFloats, spanInWords, valueRange } from "./numbers.mjs";
import { foldWindows, geometryOf, meansReduced } from "./windows.mjs";

export const GEOMETRY = ["scale", "stride", "windows", "tile_rows", "tile_cols"];
export const LIVE = [...GEOMETRY, "value", "channel", "kernel"];
export const PICTURES = ["serial", "selected", "modality", "rows", "shuffle"];

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export function changedNames(asked, answered) {
  return Object.keys(asked).filter((name) => !same(asked[name], answered[name]));
}

// "" where the answer is what the controls ask for; "live" where it can be computed here; "busy" while the kernel
// works on it; "stale" where it has said that it cannot.
export function statusOf(column, asked, { answered, failed, fused, hasTokens, hasDirections }) {
  const changed = changedNames(asked, answered);
  const isFree = column.key === "free";
  if (!changed.length || (!isFree && !fused && changed.every((name) => GEOMETRY.includes(name)))) return "";
  const isMean = asked.kernel === "mean" || asked.windows === "tiles";
  const known = changed.every((name) => LIVE.includes(name)) && (asked.value === "cosine" ? hasDirections : asked.value !== "share");
  if (isFree && hasTokens && isMean && known) return "live";
  return failed && !changedNames(asked, failed).length ? "stale" : "busy";
}

// The same of the picture beside the panels, which other windows and values leave as it is.
export function pictureStatus(asked, { answered, failed }) {
  const names = asked.rows === "pair" ? [...PICTURES, "second"] : PICTURES;
  if (!changedNames(asked, answered).some((name) => names.includes(name))) return "";
  return failed && !changedNames(asked, failed).length ? "stale" : "busy";
}

// The free windows as the controls ask for them.
export function specOf(asked) {
  const tile = asked.windows === "tiles" ? [asked.tile_rows, asked.tile_cols] : null;
  return { scale: tile ? tile[0] * tile[1] : asked.scale, stride: asked.stride || null, tile };
}

const titleOf = ({ scale, tile }) => (tile ? `${tile[0]}x${tile[1]} tiles` : `scale ${scale}`);

const equal = (a, b) => a.length === b.length && a.every((value, at) => Object.is(value, b[at]));

// A column as the kernel sent it: one geometry, and for each row its values. `old` itself where nothing has changed,
// so that nothing is drawn again.
export function readColumn(column, rows, cols, nRows, old = null) {
  const geometry = geometryOf(column, rows, cols);
  const all = readFloats(column.values);
  const kept = old && old.geometry === geometry && old.values.length === nRows && equal(all, old.all);
  if (kept && ["title", "origin", "unit"].every((name) => old[name] === column[name])) return old;
  const values = Array.from({ length: nRows }, (_, i) => all.subarray(i * geometry.count, (i + 1) * geometry.count));
  return withCells({ ...column, geometry, all, values });
}

// The free column computed here from the patch tokens, as the controls ask for it.
export function liveColumn(column, asked, rows, cols, tokens) {
  const spec = specOf(asked);
  const geometry = geometryOf(spec, rows, cols);
  const { value, channel } = asked;
  const values = tokens.map(({ patches, direction, dim }) =>
    meansReduced(patches, dim, geometry.windows, geometry.scale, { value, channel, direction }));
  const about = { title: titleOf(spec), origin: "mean", unit: value, signed: value !== "norm" };
  return withCells({ ...column, ...about, geometry, values });
}

function withCells(column) {
  return { ...column, cells: column.values.map((values) => foldWindows(values, column.geometry.cover)) };
}

// The colour range of each column: its own over all rows, or one for all columns of a unit.
export function withRanges(columns, shared) {
  const pool = new Map();
  const name = (column) => (shared ? column.unit : column.key);
  for (const column of columns) {
    const values = pool.get(name(column)) ?? [];
    column.values.forEach((own) => values.push(...own));
    pool.set(name(column), values);
  }
  return columns.map((column) => ({ ...column, range: valueRange(pool.get(name(column)), column) }));
}

// What a screen reader says of one heatmap.
export function labelOf(column, rowName, row) {
  const what = [rowName, column.title, column.origin].filter(Boolean).join(", ");
  return `${what}: ${column.geometry.count} windows, ${spanInWords(column.values[row])}`;
}

// The words under a heatmap: what the numbers are, and windows in pieces.
export function captionOf(column, units) {
  const n = column.geometry.torn.size;
  return [units[column.unit], ...(n ? [`${n} disconnected`] : [])].join("; ");
}
