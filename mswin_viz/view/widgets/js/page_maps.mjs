// The linked maps of a saved page, on plain canvases: jupyter-scatter makes functions from text, which a page may not.
// Traits as embeddings/page.py gives them; `hovered` and `selected` are rows, the same in both maps.
import { keepKeys } from "./keys.mjs";
import { arrowLine, at, between, cardPlace, dragged, nearestRow, pixelOf, pointRadius, rowAfter, rowsByCode, showing, WHOLE, zoomed } from "./map_geometry.mjs";
import { node } from "./nodes.mjs";
import { bytesOf, readFloats, readInts } from "./numbers.mjs";

const MORPH_MS = 900;
const REACHED = 6; // pixels around a point that are still the point
const MOVED = 4; // pixels from which a press is a drag
const ZOOM = 1.25; // of a key
const OPACITY = { all: 0.85, others: 0.5 };
const OUTLINE = 0.4; // pixels: some colours are near that of the page
const HELP = "arrow keys step through the points, Enter chooses one, plus and minus zoom, 0 shows all";

// The words of a row, as [name, word].
export function wordsOf(words, row) {
  return Object.entries(words).map(([name, each]) => [name, each[row]]);
}

function mapNode(parent, name) {
  const figure = node(parent, "div", `mswin-page-map mswin-page-map-${name}`);
  const title = node(figure, "b", "mswin-page-map-title");
  const frame = node(figure, "div", "mswin-page-map-frame");
  const [points, marks] = ["points", "marks"].map((layer) => node(frame, "canvas", `mswin-page-map-${layer}`));
  marks.tabIndex = 0;
  marks.setAttribute("role", "application");
  points.setAttribute("aria-hidden", "true");
  return { name, title, frame, points, marks, size: { width: 0, height: 0 } };
}

// A cleared canvas in the map's size, in pixels of the page.
function penOf(canvas, { width, height }) {
  const ratio = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}

function circle(pen, [left, top], radius) {
  pen.moveTo(left + radius, top);
  pen.arc(left, top, radius, 0, 2 * Math.PI);
}

function ring(pen, pixel, radius, colour) {
  pen.beginPath();
  circle(pen, pixel, radius);
  Object.assign(pen, { strokeStyle: colour, lineWidth: 2 });
  pen.stroke();
}

function fillCard(card, words, picture) {
  card.replaceChildren();
  let shown = null;
  if (picture?.byteLength) {
    const url = URL.createObjectURL(new Blob([bytesOf(picture)], { type: "image/jpeg" }));
    Object.assign(node(card, "img", ""), { src: url, alt: "" });
    shown = url;
  }
  const list = node(card, "dl", "");
  for (const [name, word] of words) {
    node(list, "dt", "", name);
    node(list, "dd", "", word);
  }
  return shown;
}

function render({ model, el }) {
  el.classList.add("mswin-page-maps");
  el.replaceChildren();
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const row = node(el, "div", "mswin-page-maps-row");
  const maps = ["plain", "enhanced"].map((name) => mapNode(row, name));
  const says = node(el, "div", "mswin-page-maps-says");
  says.setAttribute("role", "status");
  const card = Object.assign(document.createElement("div"), { className: "mswin-page-map-card" });
  const fixed = { plain: readFloats(model.get("plain")), enhanced: readFloats(model.get("enhanced")) };
  const n = fixed.plain.length / 2;
  const radius = pointRadius(n);
  const now = { view: WHOLE, part: Number(model.get("is_morphed")), rows: new Map(), frame: 0, moving: 0, url: null, carded: -1, over: maps[0], press: null };
  const places = { plain: fixed.plain, enhanced: fixed.enhanced };

  const drawPoints = (pen, map) => {
    const colours = model.get("colours");
    pen.globalAlpha = model.get("selected").length ? OPACITY.others : OPACITY.all;
    Object.assign(pen, { strokeStyle: getComputedStyle(el).color, lineWidth: OUTLINE });
    for (const [code, rows] of now.rows) {
      pen.fillStyle = colours[code];
      pen.beginPath();
      for (const one of rows) circle(pen, pixelOf(now.view, map.size, at(places[map.name], one)), radius);
      pen.fill();
      pen.stroke();
    }
  };
  const drawArrows = (pen, map) => {
    Object.assign(pen, { strokeStyle: model.get("marked"), lineWidth: 2 });
    pen.beginPath();
    for (const one of model.get("selected").slice(0, model.get("most_arrows"))) {
      const [start, ...rest] = arrowLine(at(fixed.plain, one), at(fixed.enhanced, one)).map((place) => pixelOf(now.view, map.size, place));
      pen.moveTo(...start);
      rest.forEach((pixel) => pen.lineTo(...pixel));
    }
    pen.stroke();
  };
  const drawMarks = (pen, map) => {
    const [colours, selected, hovered] = ["colours", "selected", "hovered"].map((name) => model.get(name));
    for (const one of selected) {
      const pixel = pixelOf(now.view, map.size, at(places[map.name], one));
      pen.fillStyle = colours[now.codes[one]];
      pen.beginPath();
      circle(pen, pixel, radius);
      pen.fill();
      ring(pen, pixel, radius + 3, model.get("marked"));
    }
    if (map.name === "plain" && model.get("has_arrows")) drawArrows(pen, map);
    if (hovered >= 0) ring(pen, pixelOf(now.view, map.size, at(places[map.name], hovered)), radius + 5, getComputedStyle(el).color);
  };
  const showCard = () => {
    const hovered = model.get("hovered");
    if (hovered !== now.carded) {
      if (now.url) URL.revokeObjectURL(now.url);
      now.url = hovered < 0 ? null : fillCard(card, wordsOf(model.get("words"), hovered), model.get("thumbs")[hovered]);
      now.carded = hovered;
    }
    if (hovered < 0) return card.remove();
    now.over.frame.append(card);
    const place = cardPlace(pixelOf(now.view, now.over.size, at(places[now.over.name], hovered)), { width: card.offsetWidth, height: card.offsetHeight }, now.over.size);
    Object.assign(card.style, { left: `${place.left}px`, top: `${place.top}px` });
  };
  const draw = () => {
    now.frame = 0;
    if (now.isStale) places.plain = between(fixed.plain, fixed.enhanced, now.part);
    maps.forEach((map) => {
      map.size = { width: map.frame.clientWidth, height: map.frame.clientHeight };
      if (now.isStale) drawPoints(penOf(map.points, map.size), map);
      drawMarks(penOf(map.marks, map.size), map);
    });
    now.isStale = false;
    showCard();
    const [hovered, selected] = ["hovered", "selected"].map((name) => model.get(name));
    Object.assign(el.dataset, { hovered, selected: selected.join(" "), part: now.part, reach: now.view.reach, drawn: Number(el.dataset.drawn ?? 0) + 1 });
  };
  const mark = () => {
    now.frame ||= requestAnimationFrame(draw);
  };
  const schedule = () => {
    now.isStale = true;
    mark();
  };
  const recolour = () => {
    now.codes = readInts(model.get("codes"));
    now.rows = rowsByCode(now.codes);
    schedule();
  };
  const entitle = () => {
    model.get("titles").forEach((words, i) => {
      maps[i].title.textContent = words;
      maps[i].marks.setAttribute("aria-label", `map of ${n} points, ${words}: ${HELP}`);
    });
  };
  const morph = () => {
    cancelAnimationFrame(now.moving);
    const [from, to, begun] = [now.part, Number(model.get("is_morphed")), performance.now()];
    const isStill = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = (time) => {
      const done = isStill ? 1 : Math.min(1, Math.max(0, (time - begun) / MORPH_MS));
      now.part = done === 1 ? to : from + (to - from) * done * done * (3 - 2 * done);
      now.isStale = true;
      draw();
      if (done < 1) now.moving = requestAnimationFrame(step);
    };
    now.moving = requestAnimationFrame(step);
  };
  const look = (view) => {
    now.view = view;
    schedule();
  };
  const hover = (map, found) => {
    now.over = map;
    model.set("hovered", found);
  };
  const choose = (found) => model.set("selected", found < 0 ? [] : [found]);
  const pixelIn = (map, event) => {
    const box = map.marks.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const rowUnder = (map, event) => nearestRow(places[map.name], now.view, map.size, pixelIn(map, event), radius + REACHED);

  const follow = (map) => {
    const listen = (kind, react, options = {}) => map.marks.addEventListener(kind, react, { signal: stop.signal, ...options });
    listen("pointerdown", (event) => {
      if (event.button !== 0) return;
      map.marks.setPointerCapture(event.pointerId);
      now.press = { pixel: pixelIn(map, event), view: now.view, isDrag: false };
    });
    listen("pointermove", (event) => {
      if (!now.press) return hover(map, rowUnder(map, event));
      const pixel = pixelIn(map, event);
      const moved = [0, 1].map((i) => pixel[i] - now.press.pixel[i]);
      now.press.isDrag ||= Math.hypot(...moved) > MOVED;
      if (now.press.isDrag) look(dragged(now.press.view, map.size, moved));
    });
    listen("pointerup", (event) => {
      if (now.press && !now.press.isDrag) choose(rowUnder(map, event));
      now.press = null;
    });
    listen("pointercancel", () => (now.press = null));
    listen("pointerleave", () => hover(map, -1));
    listen("blur", () => hover(map, -1));
    listen("dblclick", () => look(WHOLE));
    listen("wheel", (event) => {
      event.preventDefault();
      look(zoomed(now.view, map.size, Math.exp(Math.max(-1, Math.min(1, event.deltaY / 500))), pixelIn(map, event)));
    }, { passive: false });
    listen("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const { key } = event;
      const hovered = model.get("hovered");
      const next = rowAfter(key, hovered >= 0 ? hovered : model.get("selected")[0] ?? -1, n);
      const middle = [map.size.width / 2, map.size.height / 2];
      if (next !== null) {
        look(showing(now.view, map.size, at(places[map.name], next)));
        hover(map, next);
        says.textContent = wordsOf(model.get("words"), next).map((pair) => pair.join(" ")).join(", ");
      } else if (key === "Enter" || key === " ") choose(hovered);
      else if (key === "Escape") choose(-1);
      else if (key === "+" || key === "=") look(zoomed(now.view, map.size, 1 / ZOOM, middle));
      else if (key === "-") look(zoomed(now.view, map.size, ZOOM, middle));
      else if (key === "0") look(WHOLE);
      else return;
      event.preventDefault();
    });
  };
  maps.forEach(follow);

  const listeners = [
    ["change:codes", recolour], ["change:titles", entitle], ["change:is_morphed", morph],
    ...["colours", "selected"].map((name) => [`change:${name}`, schedule]),
    ...["has_arrows", "hovered"].map((name) => [`change:${name}`, mark]),
  ];
  listeners.forEach(([event, react]) => model.on(event, react));
  const watching = new ResizeObserver(schedule);
  maps.forEach((map) => watching.observe(map.frame));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule, { signal: stop.signal });
  recolour();
  entitle();
  return () => {
    stop.abort();
    watching.disconnect();
    listeners.forEach(([event, react]) => model.off(event, react));
    [now.frame, now.moving].forEach((frame) => cancelAnimationFrame(frame));
    if (now.url) URL.revokeObjectURL(now.url);
  };
}

export default { render };
