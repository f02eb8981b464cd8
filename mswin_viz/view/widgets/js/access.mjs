// What ipywidgets leaves out for those who do not see the page: the state of its toggle buttons and the names of its
// sliders and of what else has its name beside it.

const BUTTON = ".widget-toggle-button, .widget-toggle-buttons button";
const NAMED = "[role=slider], input, select, textarea";

function mark(view) {
  for (const button of view.querySelectorAll(BUTTON)) {
    const pressed = String(button.classList.contains("mod-active"));
    if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
  }
  for (const control of view.querySelectorAll(NAMED)) {
    if (control.hasAttribute("aria-label") || control.labels?.length) continue;
    const name = control.closest(".jupyter-widgets")?.querySelector(".widget-label")?.textContent.trim();
    if (name) control.setAttribute("aria-label", name);
  }
}

// From now on, until the signal is aborted.
export function keepAccessible(view, signal) {
  const watching = new MutationObserver(() => mark(view));
  watching.observe(view, { subtree: true, childList: true, attributeFilter: ["class"] });
  signal.addEventListener("abort", () => watching.disconnect());
  mark(view);
}
