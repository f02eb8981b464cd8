// A button that sends the text of the clipboard to the kernel. Where the browser does not let it be read (an insecure
// page, a refusal), a box opens to paste it into.
import { node } from "./nodes.mjs";

export const MOST_CHARACTERS = 2 ** 20; // the kernel reads no longer states

// Why this text cannot be sent; empty where it can.
export function whyNot(text) {
  if (!text.trim()) return "a state is the text that “copy state” gives: the clipboard has no text; copy a state first, or paste it here";
  if (text.length <= MOST_CHARACTERS) return "";
  return `a state has at most ${MOST_CHARACTERS} characters: got ${text.length}; copy it again with “copy state”`;
}

function render({ model, el }) {
  el.classList.add("mswin-paste");
  el.replaceChildren();
  const button = Object.assign(node(el, "button", "jupyter-button mswin-paste-button", "paste state"), { type: "button" });
  button.title = "Sets this view as a copied state has it; a state that does not fit changes nothing.";
  const box = Object.assign(node(el, "textarea", "mswin-paste-box"), { hidden: true, rows: 1, spellcheck: false });
  box.placeholder = "paste the state here, then Enter";
  box.setAttribute("aria-label", "a copied state of the explorer");
  const says = node(el, "span", "mswin-paste-says");
  says.setAttribute("role", "status");

  const show = (isOpen) => {
    box.hidden = !isOpen;
    box.value = "";
    (isOpen ? box : button).focus();
  };
  const send = (text) => {
    const words = (says.textContent = whyNot(text));
    if (words) return show(true);
    if (!box.hidden) show(false);
    return model.send({ kind: "paste", text });
  };
  button.addEventListener("click", async () => {
    if (!box.hidden) return box.value.trim() ? send(box.value) : show(false);
    const text = await Promise.resolve().then(() => navigator.clipboard.readText()).catch(() => null);
    return text === null ? show(true) : send(text);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
    else if (event.key === "Enter" && !event.shiftKey) send(box.value);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

export default { render };
