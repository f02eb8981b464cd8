// What a text found: a row of hits for each modality, each a picture beside the map of the words. The traits of TextHitRows
// (hit_rows.py) are the whole state; a click or Enter chooses a hit, or lets it go.
import { headedListBox, optionNode, pictureNode, showListBoxes, toggled } from "./list_box.mjs";
import { node, whoNode } from "./nodes.mjs";

export function hitWords(hit, rank, modality) {
  return `rank ${rank} in ${modality}: ${hit.label}, cosine ${hit.cosine.toFixed(3)}`;
}

// The picture's map once it is there, a grey place of its size before.
function mapNode(box, bytes, urls) {
  box.querySelector(".mswin-hit-map")?.remove();
  if (bytes) pictureNode(box, "mswin-hit-picture mswin-hit-map", bytes, urls);
  else node(box, "div", "mswin-hit-picture mswin-hit-map mswin-hit-due");
}

function hitNode(parent, hit, about, urls) {
  const option = optionNode(parent, "mswin-hit", hit.row);
  option.title = `${hit.name}\n${hitWords(hit, about.rank, about.modality)}`;
  const box = node(option, "div", "mswin-hit-pictures");
  pictureNode(box, "mswin-hit-picture", about.picture, urls);
  mapNode(box, about.map, urls);
  node(option, "div", "mswin-list-words", `${about.rank}: ${hit.cosine.toFixed(3)}`);
  whoNode(option, hit.label);
}

function render({ model, el }) {
  el.classList.add("mswin-hits");
  el.replaceChildren();
  const body = node(el, "div", "mswin-hits-body");
  const drawn = { urls: [] };

  const fill = (parent, urls) => {
    drawn.urls = urls;
    const [lists, pictures, maps] = ["lists", "pictures", "maps"].map((name) => model.get(name));
    return lists.map((list) => {
      const [section, box] = headedListBox(parent, "mswin-hits-list", list, true);
      section.dataset.modality = list.modality;
      list.hits.forEach((hit, at) =>
        hitNode(box, hit, { rank: at + 1, modality: list.title, picture: pictures[hit.row], map: maps[hit.row] }, urls));
      return box;
    });
  };
  const fillMaps = () => {
    const maps = model.get("maps");
    for (const option of body.querySelectorAll("[role=option]"))
      mapNode(option.firstElementChild, maps[option.dataset.number], drawn.urls);
  };
  const choose = (row) => {
    model.set("selected", toggled(model.get("selected"), row).sort((a, b) => a - b));
    model.save_changes();
  };
  const isChosen = (row) => model.get("selected").includes(row);
  const stop = showListBoxes({ model, el }, body, { fill, isChosen, choose, filled: ["lists", "pictures"], marked: "selected" });
  model.on("change:maps", fillMaps);
  model.send({ kind: "shown" });
  return () => {
    stop();
    model.off("change:maps", fillMaps);
  };
}

export default { render };
