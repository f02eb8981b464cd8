// Ranked neighbours of one row, by plain and by enhanced features or by several models. The traits of NeighbourStrip (neighbour_strip.py) are the
// whole state; a click or Enter chooses a neighbour.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { bytesOf, formatNumber } from "./numbers.mjs";

export const SIGNS = { right: "✓", wrong: "✗", unknown: "?" };
const ALONG = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
const ACROSS = { ArrowUp: -1, ArrowDown: 1 };

// Where a key leads from place `at` of list `list`, lists being of these lengths: [list, at]; null for other keys.
export function stepFrom(key, list, at, lengths) {
  const within = (place, n) => Math.max(0, Math.min(n - 1, place));
  if (key in ALONG) return [list, within(at + ALONG[key], lengths[list])];
  if (!(key in ACROSS)) return null;
  const next = within(list + ACROSS[key], lengths.length);
  return [next, within(at, lengths[next])];
}

// How a neighbour's rank differs from the one in the first list, which is 0 where that list of `k` ends before it.
export function movedWords(plainRank, rank, k, first = "plain") {
  if (plainRank === null || plainRank === undefined) return "";
  if (plainRank === 0) return `${first}: > ${k}`;
  if (plainRank === rank) return "same rank";
  return `${first}: ${plainRank}`;
}

export function neighbourWords(item, rank, title, first = "plain CLS") {
  const moved = item.plain_rank > 0 && item.plain_rank !== rank ? `, rank ${item.plain_rank} by ${first}` : "";
  return `rank ${rank}, ${title}: ${item.label}, ${item.measure} ${formatNumber(item.similarity)}, ${item.mark}${moved}`;
}

function pictureNode(parent, bytes, urls) {
  const url = URL.createObjectURL(new Blob([bytesOf(bytes)], { type: "image/jpeg" }));
  urls.push(url);
  return Object.assign(node(parent, "img", "mswin-neighbour-picture"), { src: url, alt: "" });
}

function queryNode(parent, query, urls) {
  const box = node(parent, "div", "mswin-neighbours-query");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `query: ${query.label}`);
  node(box, "div", "mswin-neighbours-title", "query");
  const row = node(box, "div", "mswin-neighbours-modalities");
  for (const { name, picture, is_used: isUsed } of query.pictures) {
    const figure = node(row, "figure", isUsed ? "mswin-used" : "");
    const image = pictureNode(figure, picture, urls);
    image.alt = `${name} of the query`;
    node(figure, "figcaption", "", name).title = isUsed ? "used by this ranking" : "not used by this ranking";
  }
  node(box, "div", "mswin-neighbour-words", query.label).title = query.name;
}

function itemNode(parent, item, about, urls) {
  const { rank, list, k, picture } = about;
  const option = node(parent, "div", "mswin-neighbour");
  option.setAttribute("role", "option");
  Object.assign(option.dataset, { row: item.row, mark: item.mark });
  option.title = `${item.name}\n${neighbourWords(item, rank, list.title, list.before.title)}`; // its name is what is seen of it
  const frame = node(option, "div", "mswin-neighbour-frame");
  pictureNode(frame, picture, urls);
  const sign = node(frame, "span", "mswin-neighbour-sign", SIGNS[item.mark]);
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", item.mark);
  node(option, "div", "mswin-neighbour-words", `${rank}: ${item.similarity.toFixed(3)}`);
  node(option, "div", "mswin-neighbour-words mswin-neighbour-who", item.label.replace("camera ", "c").replace("scene ", "s"));
  if (item.plain_rank !== null)
    node(option, "div", "mswin-neighbour-words mswin-neighbour-moved", movedWords(item.plain_rank, rank, k, list.before.short));
  return option;
}

function render({ model, el }) {
  el.classList.add("mswin-neighbours");
  el.replaceChildren();
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const says = node(el, "div", "mswin-neighbours-message");
  says.setAttribute("role", "status");
  const body = node(el, "div", "mswin-neighbours-body");
  const now = { urls: [], boxes: [], frame: 0 };

  const choose = (row) => {
    model.set("clicked", model.get("clicked") === row ? -1 : row);
    model.save_changes();
  };
  const reachable = (list, at) => now.boxes.forEach((box, i) =>
    [...box.children].forEach((option, j) => (option.tabIndex = i === list && j === at ? 0 : -1)));
  const mark = () => {
    const clicked = model.get("clicked");
    for (const box of now.boxes)
      for (const option of box.children) option.setAttribute("aria-selected", String(Number(option.dataset.row) === clicked));
  };
  const fill = () => {
    now.frame = 0;
    const held = now.boxes.findIndex((box) => box.contains(document.activeElement));
    now.urls.forEach((url) => URL.revokeObjectURL(url));
    now.urls = [];
    body.replaceChildren();
    says.textContent = model.get("message");
    const [query, lists, pictures] = ["query", "lists", "pictures"].map((name) => model.get(name));
    if (query.pictures) queryNode(body, query, now.urls);
    const isJoint = query.pictures?.filter((picture) => picture.is_used).length > 1;
    const stack = node(body, "div", isJoint ? "mswin-neighbours-lists mswin-joint" : "mswin-neighbours-lists");
    now.boxes = lists.map((list) => {
      const section = node(stack, "div", "mswin-neighbours-list");
      section.dataset.feature = list.feature;
      const head = node(section, "div", "mswin-neighbours-head");
      node(head, "span", "mswin-neighbours-title", list.title);
      node(head, "span", "mswin-neighbours-measures", list.words);
      const box = node(section, "div", "mswin-neighbours-items");
      box.setAttribute("role", "listbox");
      box.setAttribute("aria-label", `${list.title}, ${list.words}`);
      list.items.forEach((item, at) =>
        itemNode(box, item, { rank: at + 1, list, k: model.get("k"), picture: pictures[item.row] }, now.urls));
      return box;
    });
    reachable(0, 0);
    mark();
    if (held >= 0) now.boxes[Math.min(held, now.boxes.length - 1)]?.children[0]?.focus({ preventScroll: true });
    el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1);
  };
  const schedule = () => {
    now.frame ||= requestAnimationFrame(fill);
  };
  const placeOf = (option) => {
    const list = now.boxes.indexOf(option.parentNode);
    return [list, [...option.parentNode.children].indexOf(option)];
  };
  const focusOn = (list, at) => {
    reachable(list, at);
    now.boxes[list].children[at]?.focus();
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
    const next = stepFrom(event.key, ...placeOf(option), now.boxes.map((box) => box.children.length));
    if (next) focusOn(...next);
    else if (event.key === "Enter" || event.key === " ") choose(Number(option.dataset.row));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const listeners = [
    ...["query", "lists", "pictures", "message"].map((name) => [`change:${name}`, schedule]),
    ["change:clicked", mark],
  ];
  listeners.forEach(([event, react]) => model.on(event, react));
  fill();
  return () => {
    stop.abort();
    listeners.forEach(([event, react]) => model.off(event, react));
    cancelAnimationFrame(now.frame);
    now.urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
