// A picture with one number per window of patch tokens painted over it.
// The traits of HeatmapCanvas (heatmap.py) are the whole state. First the pure functions, which node can
// test, then the drawing, then `render`, which alone touches the page.

const BAR = { gap: 7, height: 7, text: 15 }; // colour bar under the picture, in CSS pixels

// ---- numbers ---------------------------------------------------------------------------------

// A copy of the bytes of a binary trait: its view may start at an odd address, which typed arrays refuse.
function bytesOf(view) {
  if (!view || !view.byteLength) return new ArrayBuffer(0);
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}

export function readFloats(view) {
  return new Float32Array(bytesOf(view));
}

export function readInts(view) {
  return new Int32Array(bytesOf(view));
}

// {lo, hi} of the colour scale, or null where no value is finite. NaN and infinities have no say in it.
export function valueRange(values, { vmin = null, vmax = null, signed = false } = {}) {
  let lo = Infinity;
  let hi = -Infinity;
  for (const v of values) {
    if (!Number.isFinite(v)) continue;
    lo = Math.min(lo, v);
    hi = Math.max(hi, v);
  }
  if (signed) {
    const given = [vmin, vmax].filter((v) => v !== null);
    const reach = given.length ? Math.max(...given.map(Math.abs)) : Math.max(Math.abs(lo), Math.abs(hi));
    return Number.isFinite(reach) ? { lo: -reach, hi: reach } : null;
  }
  lo = vmin ?? Math.min(lo, vmax ?? Infinity);
  hi = vmax ?? Math.max(hi, vmin ?? -Infinity);
  return Number.isFinite(lo) && Number.isFinite(hi) ? { lo: Math.min(lo, hi), hi } : null;
}

// Place of a value in the range, 0..1; the middle where the range has no width, NaN where the value is not finite.
export function normalise(value, range) {
  if (!range || !Number.isFinite(value)) return NaN;
  if (range.hi === range.lo) return 0.5;
  return Math.min(1, Math.max(0, (value - range.lo) / (range.hi - range.lo)));
}

// What the threshold compares, 0..1: distance from zero where signed, from the low end otherwise.
export function strength(value, range, signed) {
  if (!range || !Number.isFinite(value)) return NaN;
  if (range.hi === range.lo) return 1;
  return signed ? Math.min(1, Math.abs(value) / range.hi) : normalise(value, range);
}

export function colourIndex(place) {
  return Math.min(255, Math.max(0, Math.floor(place * 256)));
}

// The colour map's name: "auto" follows the sign; a number is a position in ["auto", ...names].
export function mapName(cmap, names, signed) {
  const name = typeof cmap === "number" ? ["auto", ...names][cmap] : cmap;
  if (names.includes(name)) return name;
  return signed ? names[names.length - 1] : names[0];
}

export function formatNumber(value) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "+infinity" : "−infinity";
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e5);
  const text = plain ? String(Number(value.toPrecision(3))) : value.toExponential(1);
  return text.replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

// ---- windows and cells -----------------------------------------------------------------------

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
export function describe(token, state) {
  const { cover, cells, cols, dropped, scale, values, windows } = state;
  const ids = cover[token];
  const here = `row ${Math.floor(token / cols)}, column ${token % cols}`;
  if (!ids.length) return [`Token ${token}`, here, dropped.has(token) ? "dropped: in no window" : "in no window"];
  if (ids.length > 1) {
    const names = ids.length > 6 ? `${ids[0]}–${ids[ids.length - 1]}` : ids.join(", ");
    return [`Windows ${names}`, `token ${token}: ${here}`, `mean ${formatNumber(cells[token])}`];
  }
  const own = windows.slice(ids[0] * scale, (ids[0] + 1) * scale);
  const tokens = span("token", own[0], own[own.length - 1]);
  return [`Window ${ids[0]}`, tokens, describePlace(own, cols), `value ${formatNumber(values[ids[0]])}`];
}

// ---- state -----------------------------------------------------------------------------------

// Everything drawing needs from the kernel's traits. Folding is kept out of the display path.
export function readData(model) {
  const [rows, cols, scale] = ["grid_rows", "grid_cols", "scale"].map((name) => model.get(name));
  const values = readFloats(model.get("values"));
  const windows = readInts(model.get("windows"));
  const cover = coverage(windows, scale, rows * cols);
  const dropped = new Set(readInts(model.get("dropped")));
  const edges = windowEdges(cover, rows, cols);
  return { rows, cols, scale, values, windows, cover, dropped, edges, cells: foldWindows(values, cover) };
}

function readDisplay(model, values) {
  const names = ["opacity", "threshold", "outline", "signed", "vmin", "vmax", "cmap", "cmaps"];
  const look = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const lut = new Uint8Array(bytesOf(model.get("lut")));
  const start = 768 * look.cmaps.indexOf(mapName(look.cmap, look.cmaps, look.signed));
  const colour = (place) => `rgb(${lut.slice(start + 3 * colourIndex(place)).slice(0, 3).join(" ")})`;
  return { ...look, colour, range: valueRange(values, look) };
}

// Picture size and canvas size in CSS pixels; patches are square.
export function layoutOf(width, rows, cols) {
  const height = Math.round((width * rows) / cols);
  return { width, height, total: height + BAR.gap + BAR.height + BAR.text };
}

// ---- drawing ---------------------------------------------------------------------------------

function paintPicture(ctx, { width, height }, picture, theme) {
  ctx.fillStyle = theme.empty;
  ctx.fillRect(0, 0, width, height);
  if (picture) ctx.drawImage(picture, 0, 0, width, height);
}

// Diagonal lines inside one cell; `slope` 1 rises to the right, -1 falls.
function hatch(ctx, [x0, y0, x1, y1], { step, slope, colour, wash }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, y0, x1 - x0, y1 - y0);
  ctx.clip();
  if (wash) {
    ctx.fillStyle = wash;
    ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.2;
  ctx.beginPath();
  const first = Math.floor((slope > 0 ? x0 + y0 : x0 - y1) / step);
  for (let k = first; k * step <= (slope > 0 ? x1 + y1 : x1 - y0); k++) {
    ctx.moveTo(k * step - slope * y0, y0);
    ctx.lineTo(k * step - slope * y1, y1);
  }
  ctx.stroke();
  ctx.restore();
}

const DROPPED = { step: 6, slope: 1, colour: "rgb(40 40 40 / 90%)", wash: "rgb(235 235 235 / 75%)" };
const MISSING = { step: 4, slope: -1, colour: "rgb(128 128 128 / 85%)" };

function paintCells(ctx, data, look, box) {
  data.cells.forEach((value, token) => {
    const [x0, y0, x1, y1] = box(token);
    if (data.dropped.has(token)) hatch(ctx, [x0, y0, x1, y1], DROPPED);
    else if (!data.cover[token].length) return;
    else if (!Number.isFinite(value)) hatch(ctx, [x0, y0, x1, y1], MISSING);
    else if (strength(value, look.range, look.signed) >= look.threshold) {
      ctx.globalAlpha = look.opacity;
      ctx.fillStyle = look.colour(normalise(value, look.range));
      ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
      ctx.globalAlpha = 1;
    }
  });
}

// A light line on a dark one: seen on any picture and any colour.
function strokeEdges(ctx, edges, point, light, dark) {
  ctx.beginPath();
  for (const [c0, r0, c1, r1] of edges) {
    ctx.moveTo(...point(r0, c0));
    ctx.lineTo(...point(r1, c1));
  }
  for (const { width, colour } of [dark, light]) {
    ctx.lineWidth = width;
    ctx.strokeStyle = colour;
    ctx.lineCap = "square";
    ctx.stroke();
  }
}

function paintOutlines(ctx, data, look, hover, point) {
  if (look.outline) {
    const crisp = (r, c) => point(r, c).map((at) => at + 0.5); // a line of odd width fills whole pixels
    strokeEdges(ctx, data.edges, crisp, { width: 1, colour: "#fff" }, { width: 3, colour: "rgb(0 0 0 / 35%)" });
  }
  if (hover < 0 || !data.cover[hover].length) return;
  const lit = new Set(data.cover[hover]);
  const labels = data.cover.map((ids) => (ids.some((id) => lit.has(id)) ? "lit" : ""));
  const edges = edgesBetween(labels, data.rows, data.cols, true);
  strokeEdges(ctx, edges, point, { width: 2, colour: "#fff" }, { width: 5, colour: "#111" });
}

function paintBar(ctx, { width, height }, look, theme) {
  const top = height + BAR.gap;
  ctx.font = theme.font;
  ctx.fillStyle = theme.text;
  ctx.textBaseline = "alphabetic";
  const write = (text, x, align) => {
    ctx.textAlign = align;
    ctx.fillText(text, x, top + BAR.height + BAR.text - 3);
  };
  if (!look.range) return write("no finite value", width / 2, "center");
  const { lo, hi } = look.range;
  const n = lo === hi ? 1 : Math.min(256, width);
  for (let i = 0; i < n; i++) {
    ctx.fillStyle = look.colour((i + 0.5) / n);
    ctx.fillRect((i * width) / n, top, width / n + 0.5, BAR.height);
  }
  ctx.clearRect(width, top, 1, BAR.height);
  ctx.fillStyle = theme.text;
  if (lo !== hi) {
    write(formatNumber(lo), 0, "left");
    write(formatNumber(hi), width, "right");
  }
  write(formatNumber((lo + hi) / 2), width / 2, "center");
}

function themeOf(element) {
  const style = getComputedStyle(element);
  const value = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const family = value("--jp-ui-font-family", "system-ui, sans-serif");
  return { text: value("--jp-ui-font-color1", style.color), empty: value("--jp-layout-color2", "#eee"), font: `11px ${family}` };
}

// Draws one state; cell edges are rounded to device pixels, so that neighbours neither overlap nor part.
function paint(canvas, data, look, picture, hover, size) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(size.width * ratio);
  canvas.height = Math.round(size.total * ratio);
  canvas.style.width = `${size.width}px`;
  canvas.style.height = `${size.total}px`;
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  const snap = (at, count, length) => Math.round((at * length * ratio) / count) / ratio;
  const point = (r, c) => [snap(c, data.cols, size.width), snap(r, data.rows, size.height)];
  const box = (token) => {
    const [r, c] = [Math.floor(token / data.cols), token % data.cols];
    return [...point(r, c), ...point(r + 1, c + 1)];
  };
  const theme = themeOf(canvas);
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, 0, size.width, size.height);
  ctx.clip();
  paintPicture(ctx, size, picture, theme);
  paintCells(ctx, data, look, box);
  paintOutlines(ctx, data, look, hover, point);
  ctx.restore();
  paintBar(ctx, size, look, theme);
}

// ---- the page --------------------------------------------------------------------------------

function build(el) {
  const add = (tag, name) => {
    const node = document.createElement(tag);
    node.className = `mswin-heatmap-${name}`;
    el.append(node);
    return node;
  };
  el.replaceChildren();
  el.classList.add("mswin-heatmap");
  const parts = { title: add("div", "title"), canvas: add("canvas", "canvas"), status: add("div", "status") };
  parts.canvas.setAttribute("role", "img");
  return { ...parts, caption: add("div", "caption"), tip: add("div", "tip") };
}

function writeWords(el, parts, model) {
  const [title, caption, busy, stale] = ["title", "caption", "busy", "stale"].map((name) => model.get(name));
  parts.title.textContent = parts.title.title = title;
  parts.caption.textContent = caption;
  parts.canvas.setAttribute("aria-label", [title, caption].filter(Boolean).join(". ") || "heatmap");
  parts.status.textContent = busy ? "working …" : stale ? "out of date" : "";
  el.setAttribute("aria-busy", String(busy));
  el.classList.toggle("mswin-heatmap-stale", stale && !busy);
  el.style.setProperty("--mswin-width", `${model.get("width")}px`);
}

// Shown in the top layer (where the browser has popovers), so that no cell of the notebook clips it.
function placeTip(tip, lines, event) {
  if (!lines) {
    if (!tip.hidden) tip.hidePopover?.();
    tip.hidden = true;
    return;
  }
  const rows = lines.map((line) => Object.assign(document.createElement("div"), { textContent: line }));
  tip.replaceChildren(...rows);
  if (tip.hidden) {
    tip.hidden = false;
    tip.showPopover?.();
  }
  const { width, height } = tip.getBoundingClientRect();
  const left = event.clientX + 14 + width > window.innerWidth ? event.clientX - 10 - width : event.clientX + 14;
  const top = Math.min(event.clientY + 14, window.innerHeight - height - 4);
  Object.assign(tip.style, { left: `${Math.max(0, left)}px`, top: `${Math.max(0, top)}px` });
}

async function decode(view) {
  const bytes = bytesOf(view);
  return bytes.byteLength ? createImageBitmap(new Blob([bytes])) : null;
}

const DATA = ["values", "windows", "dropped", "scale", "grid_rows", "grid_cols"];
const WORDS = ["title", "caption", "busy", "stale", "width"];
const DISPLAY = ["cmap", "cmaps", "lut", "vmin", "vmax", "signed", "opacity", "threshold", "outline", "width"];

function render({ model, el }) {
  const parts = build(el);
  parts.tip.popover = "manual";
  parts.tip.hidden = true;
  const now = { data: null, picture: null, hover: -1, size: null };
  const dirty = { data: true, image: true };
  let frame = 0;

  const refresh = async () => {
    while (dirty.image) {
      dirty.image = false; // set again where a newer picture comes while this one is decoded
      now.picture = await decode(model.get("image")).catch((error) => {
        console.error(`mswin-heatmap: the picture cannot be decoded (${error.message})`);
        return null;
      });
    }
    if (dirty.data) {
      dirty.data = false;
      now.data = readData(model);
      now.hover = -1;
      placeTip(parts.tip, null);
    }
    now.size = layoutOf(model.get("width"), now.data.rows, now.data.cols);
  };
  const draw = async () => {
    try {
      await refresh();
      paint(parts.canvas, now.data, readDisplay(model, now.data.values), now.picture, now.hover, now.size);
      el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1); // lets a test wait for the drawing
    } finally {
      frame = 0;
    }
  };
  const schedule = () => {
    frame ||= requestAnimationFrame(draw);
  };

  const changed = (mark) => () => {
    if (mark) dirty[mark] = true;
    schedule();
  };
  DATA.forEach((name) => model.on(`change:${name}`, changed("data")));
  DISPLAY.forEach((name) => model.on(`change:${name}`, changed()));
  model.on("change:image", changed("image"));
  WORDS.forEach((name) => model.on(`change:${name}`, () => writeWords(el, parts, model)));

  const hover = (event) => {
    if (!now.size) return;
    const { data, size } = now;
    const inside = event.type === "pointermove";
    const token = inside ? hitTest(event.offsetX, event.offsetY, size.width, size.height, data.rows, data.cols) : -1;
    placeTip(parts.tip, token < 0 ? null : describe(token, data), event);
    if (token !== now.hover) schedule();
    now.hover = token;
  };
  parts.canvas.addEventListener("pointermove", hover);
  parts.canvas.addEventListener("pointerleave", hover);

  const sight = new ResizeObserver(schedule); // first shown, or shown again: colours are known only then
  sight.observe(parts.canvas);
  const theme = new MutationObserver(schedule);
  theme.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  writeWords(el, parts, model);
  schedule();
  return () => {
    cancelAnimationFrame(frame);
    sight.disconnect();
    theme.disconnect();
  };
}

export default { render };
