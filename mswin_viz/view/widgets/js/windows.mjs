// Windows of patch tokens: which tokens each covers, and what they look like on the grid.
// The same geometry as mswin_viz/analysis/windows.py. Pure functions: node tests them.
import { formatNumber } from "./numbers.mjs";

// Flat token indices of runs (the design's windows) or, with `tile` [rows, cols], of 2-D tiles.
export function tokensOf({ scale, stride, tile }, rows, cols) {
  const corners = [];
  const inside = [];
  const [height, width] = tile ?? [1, scale];
  const last = tile ? [rows - height, cols - width] : [0, rows * cols - scale];
  const [down, across] = tile ? [stride || height, stride || width] : [1, stride || scale];
  for (let r = 0; r <= last[0]; r += down) for (let c = 0; c <= last[1]; c += across) corners.push(r * cols + c);
  for (let r = 0; r < height; r++) for (let c = 0; c < width; c++) inside.push(r * cols + c);
  return Int32Array.from(corners.flatMap((corner) => inside.map((offset) => corner + offset)));
}

const geometries = new Map(); // those of late: moving a slider to and fro finds them again
const MOST_GEOMETRIES = 256;

// Everything drawing needs to know about a panel's windows; the same object for the same windows.
export function geometryOf({ scale, stride, tile }, rows, cols) {
  const spec = { scale, stride, tile: tile ?? null };
  const key = JSON.stringify([spec, rows, cols]);
  if (!geometries.has(key)) {
    if (geometries.size >= MOST_GEOMETRIES) geometries.clear();
    geometries.set(key, newGeometry(spec, rows, cols));
  }
  return geometries.get(key);
}

function newGeometry(spec, rows, cols) {
  const windows = tokensOf(spec, rows, cols);
  const scale = spec.tile ? spec.tile[0] * spec.tile[1] : spec.scale;
  const cover = coverage(windows, scale, rows * cols);
  const torn = tornWindows(windows, scale, cols);
  const cut = cover.map((ids) => (ids.length === 1 && torn.has(ids[0]) ? String(ids[0]) : ""));
  return {
    ...{ rows, cols, windows, scale, cover, torn, edges: windowEdges(cover, rows, cols) },
    cuts: torn.size ? edgesBetween(cut, rows, cols, true) : [],
    count: windows.length / scale,
  };
}

// The windows that fall apart on the grid: runs that wrap a row end without touching themselves.
export function tornWindows(windows, scale, cols) {
  const torn = new Set();
  if (scale === 1) return torn;
  for (let w = 0; w < windows.length / scale; w++) {
    const left = new Set(windows.subarray(w * scale, (w + 1) * scale));
    const border = [windows[w * scale]];
    left.delete(border[0]);
    while (border.length) {
      const token = border.pop();
      const near = [token - cols, token + cols];
      if (token % cols) near.push(token - 1);
      if ((token + 1) % cols) near.push(token + 1);
      for (const t of near) if (left.delete(t)) border.push(t);
    }
    if (left.size) torn.add(w);
  }
  return torn;
}

// For each token of the grid the windows that cover it, in order.
export function coverage(windows, scale, nTokens) {
  const cover = Array.from({ length: nTokens }, () => []);
  windows.forEach((token, at) => {
    if (token >= 0 && token < nTokens) cover[token].push(Math.floor(at / scale));
  });
  return cover;
}

// One value a token: the mean of the finite values of its windows; NaN where there is none.
export function foldWindows(values, cover) {
  return Float64Array.from(cover, (ids) => {
    const finite = ids.map((w) => values[w]).filter(Number.isFinite);
    return finite.length ? finite.reduce((a, b) => a + b, 0) / finite.length : NaN;
  });
}

// Grid edges [col0, row0, col1, row1] between neighbours whose labels differ; with `rim`, the label ""
// stands for everything outside the grid, so that a region touching the rim is closed there.
export function edgesBetween(labels, rows, cols, rim = false) {
  const at = (r, c) => (r < 0 || c < 0 || r >= rows || c >= cols ? "" : labels[r * cols + c]);
  const edges = [];
  const first = rim ? 0 : 1;
  const extra = rim ? 1 : 0;
  for (let r = 0; r < rows; r++)
    for (let c = first; c < cols + extra; c++) if (at(r, c - 1) !== at(r, c)) edges.push([c, r, c, r + 1]);
  for (let r = first; r < rows + extra; r++)
    for (let c = 0; c < cols; c++) if (at(r - 1, c) !== at(r, c)) edges.push([c, r, c + 1, r]);
  return edges;
}

// Edges between cells that belong to different windows. Runs that wrap a row end keep their separate pieces.
export function windowEdges(cover, rows, cols) {
  return edgesBetween(cover.map((ids) => ids.join(",")), rows, cols);
}

// The token under a point of the picture, -1 outside of it.
export function hitTest(x, y, width, height, rows, cols) {
  if (x < 0 || y < 0 || x >= width || y >= height) return -1;
  return Math.floor((y * rows) / height) * cols + Math.floor((x * cols) / width);
}

const span = (word, first, last) => (first === last ? `${word} ${first}` : `${word}s ${first}–${last}`);

// "rows 2–3, columns 0–5" for a rectangle; otherwise row by row, as a wrapped run is.
export function describePlace(tokens, cols) {
  const runs = new Map();
  for (const token of tokens) {
    const row = Math.floor(token / cols);
    const [lo, hi] = runs.get(row) ?? [Infinity, -Infinity];
    runs.set(row, [Math.min(lo, token % cols), Math.max(hi, token % cols)]);
  }
  const rows = [...runs.keys()].sort((a, b) => a - b);
  const columns = (row) => span("column", ...runs.get(row));
  if (rows.every((row) => columns(row) === columns(rows[0])))
    return `${span("row", rows[0], rows[rows.length - 1])}, ${columns(rows[0])}`;
  return rows.map((row) => `row ${row}, ${columns(row)}`).join("; ");
}

// The lines of the tooltip over a token.
export function describe(token, { geometry, cells, values, factor = 1, what = "value", places = { token: "Token", window: "Window" } }) {
  const number = (value) => formatNumber(factor * value);
  const { cover, cols, scale, windows, torn } = geometry;
  const ids = cover[token];
  const here = `row ${Math.floor(token / cols)}, column ${token % cols}`;
  if (!ids.length) return [`${places.token} ${token}`, here, "dropped: in no window"];
  if (scale === 1) return [`${places.token} ${token}`, here, `${what} ${number(values[ids[0]])}`];
  if (ids.length > 1) {
    const names = ids.length > 6 ? `${ids[0]}–${ids[ids.length - 1]}` : ids.join(", ");
    return [`Windows ${names}`, `token ${token}: ${here}`, `mean ${number(cells[token])}`];
  }
  const own = windows.slice(ids[0] * scale, (ids[0] + 1) * scale);
  const isRun = own[own.length - 1] - own[0] === own.length - 1;
  const tokens = isRun && places.token === "Token" ? [span("token", own[0], own[own.length - 1])] : [];
  const apart = torn.has(ids[0]) ? ["disconnected: it wraps a row end"] : [];
  return [`${places.window} ${ids[0]}`, ...tokens, describePlace(own, cols), ...apart, `${what} ${number(values[ids[0]])}`];
}
