// A button that sends files of this computer to the kernel; dropping them anywhere on the view does the same.
import { node } from "./nodes.mjs";

export const MOST_BYTES = 8 * 2 ** 20; // of one message: Jupyter's server takes 10 MB

// Why these files cannot be sent at once; empty where they can.
export function refusal(files) {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (!files.length) return "no file was dropped";
  if (size <= MOST_BYTES) return "";
  const megabytes = (size / 2 ** 20).toFixed(1);
  return `files for upload may have ${MOST_BYTES / 2 ** 20} MB together: got ${megabytes} MB; type the path of their folder instead`;
}

function render({ model, el }) {
  el.classList.add("mswin-upload");
  const stop = new AbortController();
  const button = node(el, "button", "jupyter-button mswin-upload-button", "upload");
  const says = node(el, "span", "mswin-upload-says");
  says.setAttribute("role", "status");
  const input = Object.assign(node(el, "input", ""), { type: "file", multiple: true, accept: "image/*", hidden: true });
  button.title = "Images of this computer, for this session; dropping them on the view does the same.";

  const send = async (list) => {
    const files = [...list];
    says.textContent = refusal(files);
    if (says.textContent) return;
    const contents = await Promise.all(files.map((file) => file.arrayBuffer()));
    model.send({ kind: "files", names: files.map(({ name }) => name) }, undefined, contents);
  };
  const holdsFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  const view = (event) => (holdsFiles(event) ? event.target.closest?.(".mswin-view") : null);
  const isHere = (event) => view(event)?.contains(el);

  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => send(input.files).finally(() => (input.value = "")));
  // before the notebook, which would insert what is dropped as an attachment of the cell
  const options = { capture: true, signal: stop.signal };
  const mark = (isOver) => el.closest(".mswin-view")?.classList.toggle("mswin-drop", isOver);
  for (const type of ["dragenter", "dragover"]) {
    window.addEventListener(type, (event) => {
      if (!isHere(event)) return;
      event.preventDefault();
      event.stopPropagation();
      mark(true);
    }, options);
  }
  window.addEventListener("dragleave", (event) => event.relatedTarget?.closest?.(".mswin-view") || mark(false), options);
  window.addEventListener("drop", (event) => {
    mark(false);
    if (!isHere(event)) return;
    event.preventDefault();
    event.stopPropagation();
    send(event.dataTransfer.files);
  }, options);
  return () => stop.abort();
}

export default { render };
