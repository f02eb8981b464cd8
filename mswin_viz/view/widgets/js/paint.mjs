// Drawing on a 2-D canvas: a picture, one number per window over it, outlines, marks and a colour bar.
import { bytesOf, colourIndex, formatNumber, mapName, normalise, strength } from "./numbers.mjs";
import { edgesBetween } from "./windows.mjs";

const BAR = { gap: 6, height: 6, text: 15 }; // colour bar under the picture, in CSS pixels
const GAP = 7; // between panels
const NARROWEST = 100; // where the height is no matter
const LEGIBLE = 66; // where all are to be seen at once
const WORTH = 1.3; // how much larger panels must become to stand on more lines
const WORDS = 42; // height of the title above a panel and of the line below
const UNDER = BAR.gap + BAR.height + BAR.text + 4;
const DROPPED = { step: 6, slope: 1, colour: "rgb(40 40 40 / 90%)", wash: "rgb(235 235 235 / 75%)" };
const MISSING = { step: 4, slope: -1, colour: "rgb(128 128 128 / 85%)" };
const THIN = [{ width: 3, colour: "rgb(0 0 0 / 35%)" }, { width: 1, colour: "#fff" }];
const LIT = [{ width: 5, colour: "#111" }, { width: 2, colour: "#fff" }];
const PINNED = [{ width: 6, colour: "#111" }, { width: 3, colour: "#ffb000" }];
const CUT = [{ width: 4, colour: "#111" }, { width: 2, colour: "#ffb000", dash: [4, 3] }];

// Width of each of `count` panels in a line of `room` pixels, at most `widest`; on as many lines as they need to stay legible.
function fittedWidth(room, count, widest, least = NARROWEST) {
  for (let lines = 1; ; lines++) {
    const width = Math.floor(room / Math.ceil(count / lines)) - GAP;
    if (width >= least || lines >= count) return { lines, width: Math.max(24, Math.min(widest, width)) };
  }
}

// Width of the panels of `pictures` rows, and on how many lines those of a row stand: as large as the room allows, so
// that all are seen at once; no smaller than is legible. `room`: its width and height, which may be infinite.
export function fitted({ width, height }, { count, pictures, widest }, [rows, cols]) {
  if (!Number.isFinite(height)) return fittedWidth(width, count, widest);
  const fits = Array.from({ length: count }, (_, at) => {
    const lines = at + 1;
    const words = lines === 1 ? (height - WORDS) / pictures - UNDER : height / (pictures * lines) - UNDER - WORDS;
    return { lines, width: Math.min(widest, Math.floor(width / Math.ceil(count / lines)) - GAP, Math.floor((words * cols) / rows)) };
  });
  const best = fits.reduce((a, b) => (b.width > WORTH * a.width ? b : a));
  if (best.width >= LEGIBLE) return best;
  return fittedWidth(width, count, Math.min(LEGIBLE, widest), LEGIBLE);
}

// Picture size and canvas size in CSS pixels; patches are square.
export function layoutOf(width, rows, cols) {
  const height = Math.round((width * rows) / cols);
  return { width, height, total: height + BAR.gap + BAR.height + BAR.text };
}

const tables = new Map(); // colour map -> CSS colours; matplotlib's own bytes

function coloursOf(name, cmaps, lut) {
  if (!tables.has(name)) {
    const own = new Uint8Array(bytesOf(lut)).subarray(768 * cmaps.indexOf(name));
    tables.set(name, Array.from({ length: 256 }, (_, i) => `rgb(${own[3 * i]} ${own[3 * i + 1]} ${own[3 * i + 2]})`));
  }
  const css = tables.get(name);
  return (place) => css[colourIndex(place)];
}

// What the display traits say.
export function readLook(model) {
  const names = ["opacity", "threshold", "outline", "cmap", "auto", "cmaps"];
  const look = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const colours = (signed) => coloursOf(mapName(look.cmap, look.auto, signed), look.cmaps, model.get("lut"));
  return { ...look, colours: { signed: colours(true), plain: colours(false) } };
}

export function themeOf(element) {
  const style = getComputedStyle(element);
  const value = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const family = value("--jp-ui-font-family", "system-ui, sans-serif");
  return { text: value("--jp-ui-font-color1", style.color), empty: value("--jp-layout-color2", "#eee"), font: `11px ${family}` };
}

// The canvas at device resolution, cleared, with a grid on it: `point(row, col)` is a corner and `box(token)` a cell,
// both rounded to device pixels, so that neighbours neither overlap nor part.
function prepared(canvas, { width, total }, rows, cols, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(total * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    Object.assign(canvas, { width: wide, height: high });
    Object.assign(canvas.style, { width: `${width}px`, height: `${total}px` });
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, total);
  const snap = (at, count, length) => Math.round((at * length * ratio) / count) / ratio;
  const point = (r, c) => [snap(c, cols, width), snap(r, rows, height)];
  const box = (token) => {
    const [r, c] = [Math.floor(token / cols), token % cols];
    return [...point(r, c), ...point(r + 1, c + 1)];
  };
  return { ctx, point, box };
}

// The picture, its patches moved where tokens were shuffled: place i shows what patch order[i] was.
function paintPicture({ ctx, box }, { width, height }, { image, order }, theme) {
  ctx.fillStyle = theme.empty;
  ctx.fillRect(0, 0, width, height);
  if (!image) return;
  if (!order.length) {
    ctx.drawImage(image, 0, 0, width, height);
    return;
  }
  const [x, y] = [image.width / width, image.height / height];
  order.forEach((from, to) => {
    const [sx0, sy0, sx1, sy1] = box(from);
    const [x0, y0, x1, y1] = box(to);
    ctx.drawImage(image, sx0 * x, sy0 * y, (sx1 - sx0) * x, (sy1 - sy0) * y, x0, y0, x1 - x0, y1 - y0);
  });
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

function paintCells({ ctx, box }, panel, look) {
  const colour = panel.signed ? look.colours.signed : look.colours.plain;
  panel.cells.forEach((value, token) => {
    const [x0, y0, x1, y1] = box(token);
    if (!panel.geometry.cover[token].length) hatch(ctx, [x0, y0, x1, y1], DROPPED);
    else if (!Number.isFinite(value)) hatch(ctx, [x0, y0, x1, y1], MISSING);
    else if (strength(value, panel.range, panel.signed) >= look.threshold) {
      ctx.globalAlpha = look.opacity;
      ctx.fillStyle = colour(normalise(value, panel.range));
      ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
      ctx.globalAlpha = 1;
    }
  });
}

// Light lines on dark ones: seen on any picture and any colour. A line of odd width fills whole pixels.
function strokeEdges({ ctx, point }, edges, strokes) {
  ctx.lineCap = "square";
  for (const { width, colour, dash } of strokes) {
    const shift = width % 2 ? 0.5 : 0;
    ctx.beginPath();
    for (const [c0, r0, c1, r1] of edges) {
      const [[x0, y0], [x1, y1]] = [point(r0, c0), point(r1, c1)];
      ctx.moveTo(x0 + shift, y0 + shift);
      ctx.lineTo(x1 + shift, y1 + shift);
    }
    ctx.setLineDash(dash ?? []);
    Object.assign(ctx, { lineWidth: width, strokeStyle: colour });
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

function paintMarks(page, { geometry, isAbsent }, look, { hover, pinned }) {
  if (isAbsent) return;
  const { cover, edges, cuts, rows, cols } = geometry;
  const around = (ids) => {
    const labels = cover.map((own) => (own.some((id) => ids.includes(id)) ? "lit" : ""));
    return edgesBetween(labels, rows, cols, true);
  };
  if (look.outline && geometry.scale > 1) {
    strokeEdges(page, edges, THIN);
    strokeEdges(page, cuts, CUT);
  }
  if (hover >= 0 && cover[hover]?.length) strokeEdges(page, around(cover[hover]), LIT);
  if (pinned >= 0) strokeEdges(page, around([pinned]), PINNED);
}

function paintBar({ ctx }, { width, height }, panel, look, theme) {
  const top = height + BAR.gap;
  Object.assign(ctx, { font: theme.font, fillStyle: theme.text, textBaseline: "alphabetic" });
  const write = (text, x, align) => {
    ctx.textAlign = align;
    ctx.fillText(text, x, top + BAR.height + BAR.text - 3);
  };
  if (!panel.range) return write("no value", width / 2, "center");
  const colour = panel.signed ? look.colours.signed : look.colours.plain;
  const { lo, hi } = panel.range;
  const n = lo === hi ? 1 : Math.min(256, width);
  for (let i = 0; i < n; i++) {
    ctx.fillStyle = colour((i + 0.5) / n);
    ctx.fillRect((i * width) / n, top, width / n + 0.5, BAR.height);
  }
  ctx.clearRect(width, top, 1, BAR.height);
  ctx.fillStyle = theme.text;
  const [left, right] = [lo, hi].map((value) => formatNumber((panel.factor ?? 1) * value));
  if (lo === hi) return write(left, width / 2, "center");
  const taken = ctx.measureText(left).width + ctx.measureText(right).width;
  if (taken + 8 > width) return write(panel.signed ? `±${right}` : right, width, "right");
  write(left, 0, "left");
  write(right, width, "right");
  if (panel.signed && taken + 36 < width) write("0", width / 2, "center");
}

// The picture at device resolution, painted once for all panels of a row.
export function paintBackdrop(canvas, picture, [rows, cols], { size, theme }) {
  paintPicture(prepared(canvas, { ...size, total: size.height }, rows, cols, size.height), size, picture, theme);
}

// One heatmap. `panel`: geometry, cells, range, signed; `marks`: hovered token and pinned window, -1 for none.
export function paintHeatmap(canvas, panel, look, backdrop, marks, { size, theme }) {
  const { rows, cols } = panel.geometry;
  const page = prepared(canvas, size, rows, cols, size.height);
  const { ctx } = page;
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, 0, size.width, size.height);
  ctx.clip();
  ctx.drawImage(backdrop, 0, 0, size.width, size.height);
  paintCells(page, panel, look);
  paintMarks(page, panel, look, marks);
  ctx.restore();
  paintBar(page, size, panel, look, theme);
}

// The picture alone, with the hovered patch marked.
export function paintImage(canvas, backdrop, hover, [rows, cols], { size }) {
  const page = prepared(canvas, { ...size, total: size.height }, rows, cols, size.height);
  page.ctx.drawImage(backdrop, 0, 0, size.width, size.height);
  if (hover < 0) return;
  const labels = Array.from({ length: rows * cols }, (_, token) => (token === hover ? "lit" : ""));
  strokeEdges(page, edgesBetween(labels, rows, cols, true), LIT);
}
