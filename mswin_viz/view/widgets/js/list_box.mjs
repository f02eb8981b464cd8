// Rows of things to choose from, each row a list box. One option at a time is in the order of the Tab key, arrow keys, Home
// and End lead to the others, and a click, Enter or the space bar chooses.
import { keepKeys } from "./keys.mjs";
import { headedRow, node } from "./nodes.mjs";
import { bytesOf } from "./numbers.mjs";

const ALONG = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
const ACROSS = { ArrowUp: -1, ArrowDown: 1 };

// Where a key leads from place `at` of row `row`, rows being of these lengths: [row, at]; null for other keys. The arrows up
// and down lead to another row, or along the same one where `isOneRow`: its options then stand on several lines.
export function stepAmong(key, row, at, lengths, isOneRow = false) {
  const within = (place, n) => Math.max(0, Math.min(n - 1, place));
  const along = isOneRow ? { ...ALONG, ...ACROSS } : ALONG;
  if (key in along) return [row, within(at + along[key], lengths[row])];
  if (!(key in ACROSS)) return null;
  const next = within(row + ACROSS[key], lengths.length);
  return [next, within(at, lengths[next])];
}

// What is chosen once `one` was clicked: it is added, or taken away where it was among them.
export function toggled(chosen, one) {
  return chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one];
}

// A picture from the bytes of its file; its address is added to `urls`, to be revoked.
export function pictureNode(parent, name, bytes, urls) {
  const url = URL.createObjectURL(new Blob([bytesOf(bytes)], { type: "image/jpeg" }));
  urls.push(url);
  return Object.assign(node(parent, "img", name), { src: url, alt: "" });
}

// Makes of `box` a list box without options, with this name for screen readers.
export function asListBox(box, words, isMultiple) {
  box.setAttribute("role", "listbox");
  if (isMultiple) box.setAttribute("aria-multiselectable", "true");
  box.setAttribute("aria-label", words);
  return box;
}

// A list box with its heading.
export function headedListBox(parent, name, { title, words }, isMultiple) {
  const [section, box] = headedRow(parent, name, title, words);
  return [section, asListBox(box, `${title}, ${words}`, isMultiple)];
}

// An option; `number` is what the kernel knows it by.
export function optionNode(parent, name, number) {
  const option = node(parent, "div", `${name} mswin-list-option`);
  option.setAttribute("role", "option");
  option.dataset.number = number;
  option.tabIndex = -1;
  return option;
}

// Fills `body` with list boxes and keeps them as the model is, until the function that it returns is called.
//   fill(body, urls): makes them in the empty body and returns them
//   isChosen(number), choose(number): about the option with that number
//   filled, marked: the traits that the options are made of, and the one that says which are chosen
export function showListBoxes({ model, el }, body, { fill, isChosen, choose, filled, marked, isOneRow = false }) {
  const stop = new AbortController();
  const now = { urls: [], boxes: [], frame: 0 };
  keepKeys(el, stop.signal);
  el.classList.add("mswin-list-boxes");

  const everyOption = (react) => now.boxes.forEach((box, row) => [...box.children].forEach((option, at) => react(option, row, at)));
  const mark = () => everyOption((option) => option.setAttribute("aria-selected", String(isChosen(Number(option.dataset.number)))));
  const reachable = (row, at) => everyOption((option, i, j) => (option.tabIndex = i === row && j === at ? 0 : -1));
  const refill = () => {
    now.frame = 0;
    const held = now.boxes.findIndex((box) => box.contains(document.activeElement));
    now.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    body.replaceChildren();
    now.boxes = fill(body, now.urls);
    reachable(0, 0);
    mark();
    if (held >= 0) now.boxes[Math.min(held, now.boxes.length - 1)]?.children[0]?.focus({ preventScroll: true });
    el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1);
  };
  const schedule = () => {
    now.frame ||= requestAnimationFrame(refill);
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
    choose(Number(option.dataset.number));
  }, { signal: stop.signal });
  body.addEventListener("keydown", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    const next = stepAmong(event.key, ...placeOf(option), now.boxes.map((box) => box.children.length), isOneRow);
    if (next) focusOn(...next);
    else if (event.key === "Enter" || event.key === " ") choose(Number(option.dataset.number));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal: stop.signal });
  const listeners = [...filled.map((name) => [`change:${name}`, schedule]), [`change:${marked}`, mark]];
  listeners.forEach(([event, react]) => model.on(event, react));
  refill();
  return () => {
    stop.abort();
    listeners.forEach(([event, react]) => model.off(event, react));
    cancelAnimationFrame(now.frame);
    now.urls.forEach((url) => URL.revokeObjectURL(url));
  };
}
