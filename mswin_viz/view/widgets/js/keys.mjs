// Keys pressed inside a view belong to it. JupyterLab and Notebook run their shortcuts ("dd" deletes the cell, an arrow
// chooses another) for any element in focus, unless that very element says that it has its own; a mark around it is not
// enough. So the element is marked as its key comes, before Jupyter looks. With Ctrl, Alt or Meta, shortcuts work.

const OWN_KEYS = "data-lm-suppress-shortcuts";

export function isOwnKey({ key, ctrlKey, altKey, metaKey }) {
  return key !== undefined && !(ctrlKey || altKey || metaKey);
}

// Every view that an element is in: a board may stand in an explorer.
function viewsAround(element) {
  const view = element?.closest?.(".mswin-view");
  return view ? [view, ...viewsAround(view.parentElement)] : [];
}

function markTarget(event) {
  const { target } = event;
  const views = viewsAround(target);
  if (!views.length) return;
  for (const element of [target, ...views]) {
    if (isOwnKey(event)) element.setAttribute(OWN_KEYS, "true");
    else element.removeAttribute(OWN_KEYS);
  }
}

// From now on, in every view of the page, until the signal is aborted; `root` is one of them.
export function keepKeys(root, signal) {
  root.classList.add("mswin-view");
  root.setAttribute(OWN_KEYS, "true");
  window.addEventListener("keydown", markTarget, { capture: true, signal });
}
