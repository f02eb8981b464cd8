// A strip of thumbnails: search by identity, camera and modality; click or arrow keys choose. The traits of
// ThumbnailStrip (strip.py) are the whole state; searching never reaches the kernel.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { bytesOf } from "./numbers.mjs";

const MOST = 600; // thumbnails on the page at once; a search narrows them down
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -8, PageDown: 8, Home: -Infinity, End: Infinity };

// Positions of the items that a search finds. Words may be parts of a name or caption, or "id 12", "id:12", "camera 2".
export function found(items, query, camera, modality) {
  const text = query.toLowerCase().replace(/\b(id|person|pid|cam|camera)\s*[:= ]\s*(\d+)/g, (_, what, n) =>
    ` ${what.startsWith("cam") ? "camera" : "id"}=${Number(n)} `);
  const words = text.split(/\s+/).filter(Boolean);
  const fits = (item) => {
    const marks = [`id=${item.pid}`, `camera=${item.camid}`];
    const words_of = `${item.name} ${item.caption ?? ""}`.toLowerCase();
    return words.every((word) => (/^(id|camera)=/.test(word) ? marks.includes(word) : words_of.includes(word)));
  };
  return items.flatMap((item, at) => {
    const here = (!camera || String(item.camid) === camera) && (!modality || item.modalities.includes(modality));
    return here && fits(item) ? [at] : [];
  });
}

// Where a key leads from `selected` among the positions that are shown; null for other keys.
export function stepTo(key, shown, selected) {
  if (!(key in STEPS) || !shown.length) return null;
  const at = shown.indexOf(selected);
  const next = at < 0 ? 0 : at + STEPS[key];
  return shown[Math.max(0, Math.min(shown.length - 1, next))];
}

export function labelOf(item) {
  const who = item.pid >= 0 ? `id ${item.pid}, camera ${item.camid}, ${item.name}` : item.name;
  return item.caption ? `${who}: ${item.caption}` : who;
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

function segments(parent, label, names, choose) {
  const group = node(parent, "span", "mswin-segments");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", label);
  return names.map((name) => {
    const button = node(group, "button", "mswin-segment", name);
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
  const search = labelled(bar, "search", Object.assign(document.createElement("input"),
    { type: "search", placeholder: "id 12, a colour, a file name", className: "mswin-strip-search" }));
  const camera = labelled(bar, "camera", document.createElement("select"));
  const pages = { urls: new Map(), shown: [], picks: "image" };

  const choose = (at) => {
    model.set(pages.picks === "image" ? "selected" : "second", at);
    model.save_changes();
  };
  const modalities = segments(bar, "modality", model.get("modalities"), (name) => {
    model.set("modality", name);
    model.save_changes();
  });
  const picks = segments(bar, "a click chooses", ["image", "second image"], (name) => {
    pages.picks = name;
    mark();
  });
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
    const every = found(items, search.value, camera.value, model.get("modality"));
    pages.shown = every.slice(0, MOST);
    count.textContent = every.length > MOST ? `first ${MOST} of ${every.length}` : `${every.length} of ${items.length}`;
    list.replaceChildren(...pages.shown.map((at) => {
      const option = document.createElement("div");
      Object.assign(option, { className: "mswin-thumb", title: labelOf(items[at]) });
      option.dataset.at = at;
      option.setAttribute("role", "option");
      option.setAttribute("aria-label", labelOf(items[at]));
      const url = source(at);
      if (url) Object.assign(node(option, "img", ""), { alt: "" }).src = url; // the option around it is named
      else node(option, "span", "mswin-thumb-name", items[at].name);
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
  const listeners = [
    ["change:items", renew],
    ["change:thumbs", fill],
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
