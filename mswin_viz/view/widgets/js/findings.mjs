// One page of findings. The traits of FindingList (finding_list.py) are the whole state; a click, Enter or the space bar
// chooses an item, or no longer.
import { asListBox, optionNode, pictureNode, showListBoxes, toggled } from "./list_box.mjs";
import { node } from "./nodes.mjs";

function captioned(parent, name, one, pictures, urls) {
  const figure = node(parent, "figure", name);
  figure.title = one.name;
  if (one.mark) figure.dataset.mark = one.mark;
  pictureNode(figure, "mswin-finding-picture", pictures[one.picture], urls);
  node(figure, "figcaption", "", one.label);
}

function itemNode(parent, item, pictures, urls) {
  const option = optionNode(parent, "mswin-finding", item.number);
  const words = `${item.number + 1}: ${item.label}: ${item.reason}`;
  option.setAttribute("aria-label", words);
  node(option, "div", "mswin-finding-words", words).title = item.name;
  const row = node(option, "div", "mswin-finding-pictures");
  captioned(row, "mswin-finding-asked", item, pictures, urls);
  for (const one of item.evidence) captioned(row, "mswin-finding-evidence", one, pictures, urls);
}

function render({ model, el }) {
  el.classList.add("mswin-findings");
  el.replaceChildren();
  const fill = (parent, urls) => {
    const [items, pictures] = [model.get("items"), model.get("pictures")];
    node(parent, "div", "mswin-findings-none", items.length ? "" : model.get("words"));
    if (!items.length) return [];
    const box = asListBox(node(parent, "div", "mswin-findings-items"), "what was found, worst first", true);
    items.forEach((item) => itemNode(box, item, pictures, urls));
    return [box];
  };
  const choose = (number) => {
    model.set("selected", toggled(model.get("selected"), number));
    model.save_changes();
  };
  const isChosen = (number) => model.get("selected").includes(number);
  const traits = { filled: ["items", "pictures", "words"], marked: "selected" };
  return showListBoxes({ model, el }, node(el, "div", "mswin-findings-body"), { fill, isChosen, choose, ...traits, isOneRow: true });
}

export default { render };
