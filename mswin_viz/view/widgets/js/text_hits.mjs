// What a text found: a row of hits for each modality, each a picture beside the map of the words. The traits of TextHitRows
// (hit_rows.py) are the whole state; a click or Enter chooses a hit, or lets it go.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { bytesOf } from "./numbers.mjs";

const ALONG = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
const ACROSS = { ArrowUp: -1, ArrowDown: 1 };

// Where a key leads from hit `at` of row `row`, rows being of these lengths: [row, at]; null for other keys.
export function stepAmong(key, row, at, lengths) {
  const within = (place, n) => Math.max(0, Math.min(n - 1, place));
  if (key in ALONG) return [row, within(at + ALONG[key], lengths[row])];
  if (!(key in ACROSS)) return null;
  const next = within(row + ACROSS[key], lengths.length);
  return [next, within(at, lengths[next])];
}

export function hitWords(hit, rank, modality) {
  return `rank ${rank} in ${modality}: ${hit.label}, cosine ${hit.cosine.toFixed(3)}`;
}

function pictureNode(parent, bytes, urls) {
  const url = URL.createObjectURL(new Blob([bytesOf(bytes)], { type: "image/jpeg" }));
  urls.push(url);
  return Object.assign(node(parent, "img", "mswin-hit-picture"), { src: url, alt: "" });
}

// The picture's map once it is there, a grey place of its size before.
function mapNode(box, bytes, urls) {
  box.querySelector(".mswin-hit-map")?.remove();
  if (bytes) pictureNode(box, bytes, urls).classList.add("mswin-hit-map");
  else node(box, "div", "mswin-hit-picture mswin-hit-map mswin-hit-due");
}

function hitNode(parent, hit, about, urls) {
  const option = node(parent, "div", "mswin-hit");
  option.setAttribute("role", "option");
  option.dataset.row = hit.row;
  option.title = `${hit.name}\n${hitWords(hit, about.rank, about.modality)}`;
  const box = node(option, "div", "mswin-hit-pictures");
  pictureNode(box, about.picture, urls);
  mapNode(box, about.map, urls);
  node(option, "div", "mswin-hit-words", `${about.rank}: ${hit.cosine.toFixed(3)}`);
  node(option, "div", "mswin-hit-words mswin-hit-who", hit.label.replace("camera ", "c").replace("scene ", "s"));
}

function render({ model, el }) {
  el.classList.add("mswin-hits");
  el.replaceChildren();
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const body = node(el, "div", "mswin-hits-body");
  const now = { urls: [], boxes: [], frame: 0 };

  const choose = (row) => {
    const selected = model.get("selected");
    model.set("selected", selected.includes(row) ? selected.filter((one) => one !== row) : [...selected, row].sort((a, b) => a - b));
    model.save_changes();
  };
  const reachable = (row, at) => now.boxes.forEach((box, i) =>
    [...box.children].forEach((option, j) => (option.tabIndex = i === row && j === at ? 0 : -1)));
  const mark = () => {
    const selected = model.get("selected");
    for (const box of now.boxes)
      for (const option of box.children) option.setAttribute("aria-selected", String(selected.includes(Number(option.dataset.row))));
  };
  const fill = () => {
    now.frame = 0;
    const held = now.boxes.findIndex((box) => box.contains(document.activeElement));
    now.urls.forEach((url) => URL.revokeObjectURL(url));
    now.urls = [];
    body.replaceChildren();
    const [lists, pictures, maps] = ["lists", "pictures", "maps"].map((name) => model.get(name));
    now.boxes = lists.map((list) => {
      const section = node(body, "div", "mswin-hits-list");
      section.dataset.modality = list.modality;
      const head = node(section, "div", "mswin-hits-head");
      node(head, "span", "mswin-hits-title", list.title);
      node(head, "span", "mswin-hits-measures", list.words);
      const box = node(section, "div", "mswin-hits-items");
      box.setAttribute("role", "listbox");
      box.setAttribute("aria-multiselectable", "true");
      box.setAttribute("aria-label", `${list.title}, ${list.words}`);
      list.hits.forEach((hit, at) =>
        hitNode(box, hit, { rank: at + 1, modality: list.title, picture: pictures[hit.row], map: maps[hit.row] }, now.urls));
      return box;
    });
    reachable(0, 0);
    mark();
    if (held >= 0) now.boxes[Math.min(held, now.boxes.length - 1)]?.children[0]?.focus({ preventScroll: true });
    el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1);
  };
  const fillMaps = () => {
    const maps = model.get("maps");
    for (const box of now.boxes)
      for (const option of box.children) mapNode(option.firstElementChild, maps[option.dataset.row], now.urls);
  };
  const schedule = () => {
    now.frame ||= requestAnimationFrame(fill);
  };
  const placeOf = (option) => {
    const row = now.boxes.indexOf(option.parentNode);
    return [row, [...option.parentNode.children].indexOf(option)];
  };
  const focusOn = (row, at) => {
    reachable(row, at);
    now.boxes[row].children[at]?.focus();
  };

  body.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    focusOn(...placeOf(option));
    choose(Number(option.dataset.row));
  });
  body.addEventListener("keydown", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    const next = stepAmong(event.key, ...placeOf(option), now.boxes.map((box) => box.children.length));
    if (next) focusOn(...next);
    else if (event.key === "Enter" || event.key === " ") choose(Number(option.dataset.row));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const listeners = [["change:lists", schedule], ["change:pictures", schedule], ["change:maps", fillMaps], ["change:selected", mark]];
  listeners.forEach(([event, react]) => model.on(event, react));
  fill();
  model.send({ kind: "shown" });
  return () => {
    stop.abort();
    listeners.forEach(([event, react]) => model.off(event, react));
    cancelAnimationFrame(now.frame);
    now.urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
