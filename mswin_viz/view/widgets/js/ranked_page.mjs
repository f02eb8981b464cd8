// The page of ranked lists that were saved for many queries: it draws them from the data in the page, puts them in order
// and leads to one of them. Pictures are made when their query comes into sight.
import { headedRow, node, whoNode } from "./nodes.mjs";

const SIGNS = { right: "✓", wrong: "✗", unknown: "?" };

// Places of the queries in another order: `list` is the place of a list, or -1 for the order in which they were saved.
// Queries without an average precision come last.
export function orderOf(queries, list, isLowest) {
  const places = queries.map((_query, at) => at);
  if (list < 0) return places;
  const key = (at) => queries[at].lists[list]?.ap ?? null;
  return places.sort((a, b) => {
    if (key(a) === null || key(b) === null) return (key(a) === null) - (key(b) === null) || a - b;
    return (isLowest ? key(a) - key(b) : key(b) - key(a)) || a - b;
  });
}

function bytesFrom(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function pictureNode(parent, at, alt, due) {
  const image = Object.assign(node(parent, "img", "mswin-neighbour-picture"), { alt });
  due.push([image, at]);
  return image;
}

function itemNode(parent, item, rank, due) {
  const box = node(parent, "div", "mswin-neighbour mswin-list-option");
  box.dataset.mark = item.mark;
  box.title = item.name;
  const frame = node(box, "div", "mswin-neighbour-frame");
  const words = `rank ${rank}: ${item.label}, ${item.measure} ${item.similarity.toFixed(3)}, ${item.mark}`;
  pictureNode(frame, item.picture, words, due);
  const sign = node(frame, "span", "mswin-neighbour-sign", SIGNS[item.mark]);
  sign.setAttribute("aria-hidden", "true"); // the picture's words say it
  node(box, "div", "mswin-list-words", `${rank}: ${item.similarity.toFixed(3)}`);
  whoNode(box, item.label);
}

function queryNode(parent, query, due) {
  const section = node(parent, "section", "mswin-ranked-query");
  section.id = query.id;
  const head = node(section, "h2", "mswin-ranked-title", `${query.number}. ${query.label}`);
  head.title = query.name;
  node(section, "div", "mswin-ranked-files", `${query.name}; ${query.files.join(", ")}`);
  const row = node(section, "div", "mswin-neighbours-body");
  const shown = node(row, "div", "mswin-neighbours-query");
  node(shown, "div", "mswin-list-title", "query");
  pictureNode(shown, query.picture, `query: ${query.label}, ${query.name}`, due);
  const stack = node(row, "div", "mswin-neighbours-lists");
  for (const list of query.lists) {
    const items = headedRow(stack, "mswin-neighbours-list", list.title, list.words)[1];
    list.items.forEach((item, at) => itemNode(items, item, at + 1, due));
  }
  return section;
}

function menu(parent, label, options) {
  const line = node(parent, "label", "mswin-ranked-menu", `${label} `);
  const select = node(line, "select", "");
  for (const words of options) node(select, "option", "", words);
  return select;
}

function start() {
  const { queries, lists, pictures, title } = JSON.parse(document.getElementById("mswin-page-data").textContent);
  const root = document.getElementById("mswin-page");
  root.className = "mswin-list-boxes mswin-neighbours mswin-ranked-page";
  node(root, "h1", "mswin-ranked-name", title);
  const bar = node(root, "div", "mswin-ranked-bar");
  const orders = [[-1, true], ...lists.flatMap((_list, at) => [[at, true], [at, false]])];
  const words = ([at, isLowest]) => (at < 0 ? "as they were saved" : `${lists[at]}: ${isLowest ? "lowest" : "highest"} AP first`);
  const order = menu(bar, "order", orders.map(words));
  const target = menu(bar, "go to", queries.map((query) => `${query.number}. ${query.label}`));
  const body = node(root, "div", "mswin-ranked-queries");
  const waiting = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target: section } of entries) {
      if (!isIntersecting) continue;
      for (const [image, at] of waiting.get(section) ?? []) {
        const url = URL.createObjectURL(new Blob([bytesFrom(pictures[at])], { type: "image/jpeg" }));
        image.src = url;
      }
      waiting.delete(section);
      seen.unobserve(section);
    }
  }, { rootMargin: "600px" });
  const sections = queries.map((query) => {
    const due = [];
    const section = queryNode(body, query, due);
    waiting.set(section, due);
    seen.observe(section);
    return section;
  });
  const go = (at) => sections[at]?.scrollIntoView({ block: "start" });
  order.addEventListener("change", () => {
    const [list, isLowest] = orders[order.selectedIndex];
    orderOf(queries, list, isLowest).forEach((at) => body.append(sections[at]));
  });
  target.addEventListener("change", () => {
    go(target.selectedIndex);
    history.replaceState(null, "", `#${queries[target.selectedIndex].id}`);
  });
  const wanted = queries.findIndex((query) => `#${query.id}` === window.location.hash);
  if (wanted >= 0) go(wanted);
}

export default { start };
