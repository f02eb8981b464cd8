// Ranked neighbours of one row, by plain and by enhanced features or by several models. The traits of NeighbourStrip (neighbour_strip.py) are the
// whole state; a click or Enter chooses a neighbour.
import { headedListBox, optionNode, pictureNode, showListBoxes } from "./list_box.mjs";
import { node, whoNode } from "./nodes.mjs";
import { formatNumber } from "./numbers.mjs";

export const SIGNS = { right: "✓", wrong: "✗", unknown: "?" };

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

function queryNode(parent, query, urls) {
  const box = node(parent, "div", "mswin-neighbours-query");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `query: ${query.label}`);
  node(box, "div", "mswin-list-title", "query");
  const row = node(box, "div", "mswin-neighbours-modalities");
  for (const { name, picture, is_used: isUsed } of query.pictures) {
    const figure = node(row, "figure", isUsed ? "mswin-used" : "");
    const image = pictureNode(figure, "mswin-neighbour-picture", picture, urls);
    image.alt = `${name} of the query`;
    node(figure, "figcaption", "", name).title = isUsed ? "used by this ranking" : "not used by this ranking";
  }
  node(box, "div", "mswin-list-words mswin-neighbour-words", query.label).title = query.name;
}

function itemNode(parent, item, about, urls) {
  const { rank, list, k, picture } = about;
  const option = optionNode(parent, "mswin-neighbour", item.row);
  option.dataset.mark = item.mark;
  option.title = `${item.name}\n${neighbourWords(item, rank, list.title, list.before.title)}`; // its name is what is seen of it
  const frame = node(option, "div", "mswin-neighbour-frame");
  pictureNode(frame, "mswin-neighbour-picture", picture, urls);
  const sign = node(frame, "span", "mswin-neighbour-sign", SIGNS[item.mark]);
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", item.mark);
  node(option, "div", "mswin-list-words", `${rank}: ${item.similarity.toFixed(3)}`);
  whoNode(option, item.label);
  if (item.plain_rank !== null)
    node(option, "div", "mswin-list-words mswin-neighbour-moved", movedWords(item.plain_rank, rank, k, list.before.short));
}

function render({ model, el }) {
  el.classList.add("mswin-neighbours");
  el.replaceChildren();
  const says = node(el, "div", "mswin-neighbours-message");
  says.setAttribute("role", "status");
  const fill = (parent, urls) => {
    says.textContent = model.get("message");
    const [query, lists, pictures] = ["query", "lists", "pictures"].map((name) => model.get(name));
    if (query.pictures) queryNode(parent, query, urls);
    const isJoint = query.pictures?.filter((picture) => picture.is_used).length > 1;
    const stack = node(parent, "div", isJoint ? "mswin-neighbours-lists mswin-joint" : "mswin-neighbours-lists");
    return lists.map((list) => {
      const [section, box] = headedListBox(stack, "mswin-neighbours-list", list, false);
      section.dataset.feature = list.feature;
      list.items.forEach((item, at) =>
        itemNode(box, item, { rank: at + 1, list, k: model.get("k"), picture: pictures[item.row] }, urls));
      return box;
    });
  };
  const isChosen = (row) => model.get("clicked") === row;
  const choose = (row) => {
    model.set("clicked", isChosen(row) ? -1 : row);
    model.save_changes();
  };
  const traits = { filled: ["query", "lists", "pictures", "message"], marked: "clicked" };
  return showListBoxes({ model, el }, node(el, "div", "mswin-neighbours-body"), { fill, isChosen, choose, ...traits });
}

export default { render };
