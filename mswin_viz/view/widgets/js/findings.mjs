// One page of findings. The traits of FindingList (finding_list.py) are the whole state; a click, Enter or the space bar
// chooses an item, or no longer.
import { keepKeys } from "./keys.mjs";
import { node } from "./nodes.mjs";
import { bytesOf } from "./numbers.mjs";

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };

// The numbers that are chosen once `number` was clicked: it is added, or taken away where it was among them.
export function toggled(selected, number) {
  return selected.includes(number) ? selected.filter((one) => one !== number) : [...selected, number];
}

function pictureNode(parent, picture, urls) {
  const url = URL.createObjectURL(new Blob([bytesOf(picture)], { type: "image/jpeg" }));
  urls.push(url);
  return Object.assign(node(parent, "img", "mswin-finding-picture"), { src: url, alt: "" });
}

function captioned(parent, name, one, pictures, urls) {
  const figure = node(parent, "figure", name);
  figure.title = one.name;
  if (one.mark) figure.dataset.mark = one.mark;
  pictureNode(figure, pictures[one.picture], urls);
  node(figure, "figcaption", "", one.label);
}

function itemNode(parent, item, pictures, urls) {
  const option = node(parent, "div", "mswin-finding");
  option.setAttribute("role", "option");
  option.setAttribute("aria-label", `${item.number + 1}: ${item.label}: ${item.reason}`);
  option.dataset.number = item.number;
  option.tabIndex = -1;
  node(option, "div", "mswin-finding-words", `${item.number + 1}: ${item.label}: ${item.reason}`).title = item.name;
  const row = node(option, "div", "mswin-finding-pictures");
  captioned(row, "mswin-finding-asked", item, pictures, urls);
  for (const one of item.evidence) captioned(row, "mswin-finding-evidence", one, pictures, urls);
}

function render({ model, el }) {
  el.classList.add("mswin-findings");
  el.replaceChildren();
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const says = node(el, "div", "mswin-findings-none");
  const box = node(el, "div", "mswin-findings-items");
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-multiselectable", "true");
  box.setAttribute("aria-label", "what was found, worst first");
  const now = { urls: [], frame: 0 };

  const mark = () => {
    const selected = model.get("selected");
    for (const option of box.children)
      option.setAttribute("aria-selected", String(selected.includes(Number(option.dataset.number))));
  };
  const fill = () => {
    now.frame = 0;
    now.urls.forEach((url) => URL.revokeObjectURL(url));
    now.urls = [];
    box.replaceChildren();
    const [items, pictures] = [model.get("items"), model.get("pictures")];
    says.textContent = items.length ? "" : model.get("words");
    box.hidden = !items.length;
    items.forEach((item) => itemNode(box, item, pictures, now.urls));
    if (box.firstChild) box.firstChild.tabIndex = 0;
    mark();
    el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1);
  };
  const schedule = () => {
    now.frame ||= requestAnimationFrame(fill);
  };
  const choose = (option) => {
    model.set("selected", toggled(model.get("selected"), Number(option.dataset.number)));
    model.save_changes();
    mark();
  };
  const focusOn = (at) => {
    const options = [...box.children];
    const next = options[Math.max(0, Math.min(options.length - 1, at))];
    options.forEach((option) => (option.tabIndex = option === next ? 0 : -1));
    next?.focus();
  };

  box.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    focusOn([...box.children].indexOf(option));
    choose(option);
  });
  box.addEventListener("keydown", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    if (event.key in STEPS) focusOn([...box.children].indexOf(option) + STEPS[event.key]);
    else if (event.key === "Enter" || event.key === " ") choose(option);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const listeners = [
    ...["items", "pictures", "words"].map((name) => [`change:${name}`, schedule]),
    ["change:selected", mark],
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
