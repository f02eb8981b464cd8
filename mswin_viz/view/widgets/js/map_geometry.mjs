// Two linked maps in numbers: what part is seen, which point is meant, what lies between. Pure functions: node tests them.

// What is seen of a map: the middle of a square, and its half width. All points lie within -1..1.
export const WHOLE = { x: 0, y: 0, reach: 1.06 };
const NEAREST = 0.005; // half widths
const FURTHEST = 2;
const BARB = 0.3; // of an arrow, as a part of its length
const LONGEST_BARB = 0.03;

function pixelsOfUnit({ reach }, { width, height }) {
  return Math.min(width, height) / (2 * reach);
}

// Where a place stands on a map of this size in pixels; y goes up on the map and down on the screen.
export function pixelOf(view, size, [x, y]) {
  const unit = pixelsOfUnit(view, size);
  return [size.width / 2 + (x - view.x) * unit, size.height / 2 - (y - view.y) * unit];
}

export function placeOf(view, size, [left, top]) {
  const unit = pixelsOfUnit(view, size);
  return [view.x + (left - size.width / 2) / unit, view.y - (top - size.height / 2) / unit];
}

// The view with `factor` times the reach; what is at this pixel stays there.
export function zoomed(view, size, factor, pixel) {
  const reach = Math.min(FURTHEST, Math.max(NEAREST, view.reach * factor));
  const [before, after] = [placeOf(view, size, pixel), placeOf({ ...view, reach }, size, pixel)];
  return { x: view.x + before[0] - after[0], y: view.y + before[1] - after[1], reach };
}

// The view after a drag by so many pixels.
export function dragged(view, size, [left, top]) {
  const unit = pixelsOfUnit(view, size);
  return { ...view, x: view.x - left / unit, y: view.y + top / unit };
}

// The view, moved so that a place is in its middle if it was not seen.
export function showing(view, size, place) {
  const [left, top] = pixelOf(view, size, place);
  const isSeen = left >= 0 && top >= 0 && left <= size.width && top <= size.height;
  return isSeen ? view : { ...view, x: place[0], y: place[1] };
}

// The place of a row among places that are written as x, y, x, y, ...
export function at(places, row) {
  return [places[2 * row], places[2 * row + 1]];
}

// The row whose point is nearest to a pixel, at most `within` pixels away; -1 for none.
export function nearestRow(places, view, size, pixel, within) {
  const [x, y] = placeOf(view, size, pixel);
  let [found, least] = [-1, (within / pixelsOfUnit(view, size)) ** 2];
  for (let row = 0; 2 * row < places.length; row += 1) {
    const distance = (places[2 * row] - x) ** 2 + (places[2 * row + 1] - y) ** 2;
    if (distance <= least) [found, least] = [row, distance];
  }
  return found;
}

// Places a part of the way from one map to the other.
export function between(from, to, part) {
  if (part === 0) return from;
  if (part === 1) return to;
  return from.map((start, i) => start + part * (to[i] - start));
}

// The row of n that a key leads to from `row`, -1 being none; null for other keys.
export function rowAfter(key, row, n) {
  const within = (place) => Math.max(0, Math.min(n - 1, place));
  if (key === "ArrowRight" || key === "ArrowDown") return within(row + 1);
  if (key === "ArrowLeft" || key === "ArrowUp") return within(row - 1);
  if (key === "Home") return 0;
  return key === "End" ? n - 1 : null;
}

// One line that draws an arrow: the shaft, one barb, back to the tip, the other barb.
export function arrowLine(start, end) {
  const along = [end[0] - start[0], end[1] - start[1]];
  const length = Math.hypot(...along);
  if (length === 0) return [start, end];
  const barb = Math.min(BARB * length, LONGEST_BARB) / length;
  const back = [-along[0] * barb, -along[1] * barb];
  const side = [-back[1] / 2, back[0] / 2];
  const corner = (sign) => [end[0] + back[0] + sign * side[0], end[1] + back[1] + sign * side[1]];
  return [start, end, corner(1), end, corner(-1)];
}

// Half the width of a point in pixels: smaller where there are many.
export function pointRadius(n) {
  return Math.min(9, Math.max(3, 150 / Math.sqrt(n))) / 2;
}

// The rows of each colour, by its code.
export function rowsByCode(codes) {
  const rows = new Map();
  codes.forEach((code, row) => (rows.has(code) ? rows.get(code).push(row) : rows.set(code, [row])));
  return rows;
}

// Where a card stands beside a pixel: right of it or left, and within the map.
export function cardPlace([left, top], card, size, gap = 14) {
  const isRight = left + gap + card.width <= size.width;
  const x = isRight ? left + gap : left - gap - card.width;
  const limit = (place, most) => Math.max(0, Math.min(place, Math.max(0, most)));
  return { left: limit(x, size.width - card.width), top: limit(top - card.height / 2, size.height - card.height) };
}
