// A strip of thumbnails: search by identity, camera and modality; click or arrow keys choose. The traits of
// ThumbnailStrip (strip.py) are the whole state; searching never reaches the kernel.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { bytesOf } from "./numbers.mjs";

const MOST = 600; // thumbnails on the page at once; a search narrows them down
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -8, PageDown: 8, Home: -Infinity, End: Infinity };

const KINDS = { score: ([, enhanced]) => enhanced, plain: ([plain]) => plain, change: ([plain, enhanced]) => enhanced - plain };
const CONDITION = /\b(score|plain|change)\s*([<>])\s*([+-]?\d*\.?\d+)/g;
const identity = ({ pid }) => (pid < 0 ? Infinity : pid); // those who are not known come last
const camera = ({ camid }) => (camid < 0 ? Infinity : camid);
const score = (kind, sign) => (_item, scores) => (scores ? sign * KINDS[kind](scores) : Infinity);
export const ORDERS = {
  "as read": { by: [] },
  identity: { by: [identity, camera] },
  camera: { by: [camera, identity] },
  "score, highest first": { by: [score("score", -1)], ofScores: true },
  "most raised first": { by: [score("change", -1)], ofScores: true },
  "most lowered first": { by: [score("change", 1)], ofScores: true },
};

// Whether a search or an order needs the images' scores.
export function needsScores(query, order) {
  return Boolean(ORDERS[order]?.ofScores) || query.toLowerCase().match(CONDITION) !== null;
}

// The same positions in another order; equal ones as they were.
export function sorted(positions, items, order, scores = []) {
  const { by } = ORDERS[order];
  const keys = new Map(positions.map((at) => [at, by.map((key) => key(items[at], scores[at]))]));
  const difference = (a, b) => keys.get(a).map((key, at) => [key, keys.get(b)[at]]).find(([x, y]) => x !== y);
  return [...positions].sort((a, b) => {
    const pair = difference(a, b);
    return pair ? (pair[0] < pair[1] ? -1 : 1) : a - b;
  });
}

// Positions of the items that a search finds. Words may be parts of a name or caption, or "id 12", "id:12", "camera 2",
// "score>0.2", "plain<0", "change>0": an image without a score fits no such condition.
export function found(items, query, camera, modality, scores = []) {
  const limits = [...query.toLowerCase().matchAll(CONDITION)];
  const within = (own) => limits.every(([, kind, sign, limit]) =>
    own && (sign === ">" ? KINDS[kind](own) > Number(limit) : KINDS[kind](own) < Number(limit)));
  const text = query.toLowerCase().replace(CONDITION, " ").replace(/\b(id|person|pid|cam|camera)\s*[:= ]\s*(\d+)/g, (_, what, n) =>
    ` ${what.startsWith("cam") ? "camera" : "id"}=${Number(n)} `);
  const words = text.split(/\s+/).filter(Boolean);
  const fits = (item) => {
    const marks = [`id=${item.pid}`, `camera=${item.camid}`];
    const words_of = `${item.name} ${item.caption ?? ""}`.toLowerCase();
    return words.every((word) => (/^(id|camera)=/.test(word) ? marks.includes(word) : words_of.includes(word)));
  };
  return items.flatMap((item, at) => {
    const here = (!camera || String(item.camid) === camera) && (!modality || item.modalities.includes(modality));
    return here && within(scores[at]) && fits(item) ? [at] : [];
  });
}

// Where a key leads from `selected` among the positions that are shown; null for other keys.
export function stepTo(key, shown, selected) {
  if (!(key in STEPS) || !shown.length) return null;
  const at = shown.indexOf(selected);
  const next = at < 0 ? 0 : at + STEPS[key];
  return shown[Math.max(0, Math.min(shown.length - 1, next))];
}

export function labelOf(item, scores) {
  const who = item.pid >= 0 ? `id ${item.pid}, camera ${item.camid}, ${item.name}` : item.name;
  const words = item.caption ? `${who}: ${item.caption}` : who;
  return scores ? `${words}; score ${scores[1].toFixed(3)}, plain ${scores[0].toFixed(3)}` : words;
}

function labelled(parent, text, control) {
  const label = node(parent, "label", "mswin-strip-field", text);
  label.append(control);
  return control;
}

function choices(select, values, wordsOf) {
  const old = select.value;
  select.replaceChildren(...values.map((value) => new Option(wordsOf(value), value)));
  select.value = values.includes(old) ? old : values[0] ?? "";
}

function segments(parent, label, hint, names, choose) {
  const group = node(parent, "span", "mswin-segments");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", label);
  return names.map((name) => {
    const button = Object.assign(node(group, "button", "mswin-segment", name), { title: hint });
    button.addEventListener("click", () => choose(name));
    return button;
  });
}

function render({ model, el }) {
  el.classList.add("mswin-strip");
  el.replaceChildren();
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const bar = node(el, "div", "mswin-strip-bar");
  const list = node(el, "div", "mswin-strip-list");
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "images");
  const pages = { urls: new Map(), shown: [], picks: "image" };

  const choose = (at) => {
    model.set(pages.picks === "image" ? "selected" : "second", at);
    model.save_changes();
  };
  const modalities = segments(bar, "modality", "What the images were taken in.", model.get("modalities"), (name) => {
    model.set("modality", name);
    model.save_changes();
  });
  const picks = segments(bar, "a click chooses", "Which image a click or an arrow key chooses: the one that is looked at, or the one it is compared with.", ["image", "second image"], (name) => {
    pages.picks = name;
    mark();
  });
  picks[0].parentElement.hidden = !model.get("has_second");
  const more = Object.assign(node(bar, "button", "mswin-chip mswin-strip-more", "find"), { title: "Search, filter and sort the images." });
  const find = node(bar, "span", "mswin-strip-find");
  const search = labelled(find, "find", Object.assign(document.createElement("input"),
    { type: "search", placeholder: "id 12, a colour, a file name", className: "mswin-strip-search" }));
  search.title = "Words of a name or caption; id 12; camera 2; score>0.2, plain<0 or change>0 for the first prompt.";
  const camera = labelled(find, "camera", document.createElement("select"));
  camera.title = "Only images of one camera.";
  const order = labelled(find, "order", Object.assign(document.createElement("select"), { className: "mswin-strip-order" }));
  const scoredBy = model.get("scored_by") ? `, by ${model.get("scored_by")}` : "";
  order.title = `The order of the images; scores and their change are those of the first prompt${scoredBy}.`;
  const unfold = (is) => {
    more.setAttribute("aria-expanded", String(is));
    find.classList.toggle("mswin-open", is);
  };
  more.addEventListener("click", () => unfold(more.getAttribute("aria-expanded") === "false"));
  unfold(false);
  const count = node(bar, "span", "mswin-strip-count");
  const work = node(bar, "span", "mswin-strip-work");
  const progress = Object.assign(node(work, "progress", ""), { max: 1 });
  const words = node(work, "span", "");
  const halt = node(work, "button", "mswin-chip", "stop");
  halt.addEventListener("click", () => model.send({ kind: "stop" }));

  const source = (at) => {
    const place = model.get("modalities").indexOf(model.get("modality")) * model.get("items").length + at;
    const bytes = model.get("thumbs")[place];
    if (!bytes?.byteLength) return "";
    if (!pages.urls.has(place)) pages.urls.set(place, URL.createObjectURL(new Blob([bytesOf(bytes)])));
    return pages.urls.get(place);
  };
  const fill = () => {
    const items = model.get("items");
    const scores = model.get("scores");
    const isScored = needsScores(search.value, order.value);
    if (isScored && !scores.length) model.send({ kind: "scores" });
    const matching = found(items, search.value, camera.value, model.get("modality"), scores);
    const every = sorted(matching, items, order.value || "as read", scores);
    pages.shown = every.slice(0, MOST);
    count.textContent = every.length > MOST ? `first ${MOST} of ${every.length}` : `${every.length} of ${items.length}`;
    list.replaceChildren(...pages.shown.map((at) => {
      const option = document.createElement("div");
      Object.assign(option, { className: "mswin-thumb", title: labelOf(items[at], scores[at]) });
      option.dataset.at = at;
      option.setAttribute("role", "option");
      option.setAttribute("aria-label", labelOf(items[at], scores[at]));
      const url = source(at);
      if (url) Object.assign(node(option, "img", ""), { alt: "" }).src = url; // the option around it is named
      else node(option, "span", "mswin-thumb-name", items[at].name);
      if (isScored && scores[at]) {
        const [plain, enhanced] = scores[at];
        const number = /most/.test(order.value) ? enhanced - plain : enhanced;
        node(option, "span", "mswin-thumb-score", number.toFixed(2).replace("-", "−").replace("0.", "."));
      }
      return option;
    }));
    mark();
  };
  const mark = () => {
    const [selected, second] = [model.get("selected"), model.get("second")];
    const reachable = pages.shown.includes(selected) ? selected : pages.shown[0];
    for (const option of list.children) {
      const at = Number(option.dataset.at);
      option.tabIndex = at === reachable ? 0 : -1;
      option.setAttribute("aria-selected", String(at === selected));
      option.classList.toggle("mswin-thumb-second", at === second);
    }
    modalities.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === model.get("modality"))));
    picks.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === pages.picks)));
    const current = [...list.children].find((option) => option.getAttribute("aria-selected") === "true");
    if (!current) return;
    const [left, right] = [current.offsetLeft - list.offsetLeft, current.offsetLeft - list.offsetLeft + current.offsetWidth];
    if (left < list.scrollLeft) list.scrollLeft = left - 40;
    else if (right > list.scrollLeft + list.clientWidth) list.scrollLeft = right - list.clientWidth + 40;
  };
  const report = () => {
    const done = model.get("progress");
    progress.value = done;
    words.textContent = model.get("status");
    work.hidden = !model.get("status");
    progress.hidden = halt.hidden = done < 0 || done >= 1;
  };
  const renew = () => {
    pages.urls.forEach((url) => URL.revokeObjectURL(url));
    pages.urls.clear();
    const cameras = [...new Set(model.get("items").map(({ camid }) => camid))].filter((id) => id >= 0).sort((a, b) => a - b);
    choices(camera, ["", ...cameras.map(String)], (id) => (id === "" ? "all" : id));
    choices(order, Object.keys(ORDERS).filter((name) => model.get("has_scores") || !ORDERS[name].ofScores), (name) => name);
    fill();
  };

  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    choose(Number(option.dataset.at));
    option.focus();
  });
  list.addEventListener("keydown", (event) => {
    const isFirst = pages.picks === "image";
    const next = stepTo(event.key, pages.shown, model.get(isFirst ? "selected" : "second"));
    if (next === null) return;
    event.preventDefault();
    event.stopPropagation();
    choose(next);
    list.children[pages.shown.indexOf(next)]?.focus({ preventScroll: true });
  });
  search.addEventListener("input", fill);
  camera.addEventListener("change", fill);
  order.addEventListener("change", fill);
  const listeners = [
    ["change:items", renew],
    ["change:has_scores", renew],
    ...["thumbs", "scores"].map((name) => [`change:${name}`, fill]),
    ["change:modality", fill],
    ...["selected", "second"].map((name) => [`change:${name}`, mark]),
    ...["progress", "status"].map((name) => [`change:${name}`, report]),
  ];
  listeners.forEach(([event, react]) => model.on(event, react));
  renew();
  report();
  model.send({ kind: "shown" });
  return () => {
    stop.abort();
    listeners.forEach(([event, react]) => model.off(event, react));
    pages.urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
