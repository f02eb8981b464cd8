// The elements that the widgets are made of, and the room they have.

const MARGIN = 12; // above and below a view, in pixels

export function node(parent, tag, name, text = "") {
  const made = Object.assign(document.createElement(tag), { className: name, textContent: text });
  parent.append(made);
  return made;
}

// A row with a heading, in a section of class `name`: [section, row].
export function headedRow(parent, name, title, words) {
  const section = node(parent, "div", name);
  const head = node(section, "div", "mswin-list-head");
  node(head, "span", "mswin-list-title", title);
  node(head, "span", "mswin-list-measures", words);
  return [section, node(section, "div", "mswin-list-row")];
}

// The line below a picture that says whose it is; it makes nothing wider.
export function whoNode(parent, label) {
  return node(parent, "div", "mswin-list-words mswin-list-who", label.replace("camera ", "c").replace("scene ", "s"));
}

// Width and height that `part` of a widget has on the screen, where the view around it begins at the upper edge of the
// page; without such a view any height.
export function roomBelow(el, part) {
  const view = el.closest(".mswin-explorer");
  if (!view) return { width: el.clientWidth, height: Infinity };
  const seen = document.fullscreenElement === view ? window.innerHeight : pageOf(view)?.clientHeight ?? window.innerHeight;
  const above = part.getBoundingClientRect().top - view.getBoundingClientRect().top + view.scrollTop;
  return { width: el.clientWidth, height: Math.max(seen - above - MARGIN, seen / 2) };
}

// The outermost element around a view that scrolls: those inside of it may be as high as what they hold.
function pageOf(view) {
  const around = [];
  for (let one = view.parentElement; one; one = one.parentElement) around.push(one);
  return around.findLast((one) => one !== document.documentElement && ["auto", "scroll"].includes(getComputedStyle(one).overflowY));
}
