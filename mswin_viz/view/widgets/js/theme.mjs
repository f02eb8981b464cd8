// Keeps the keys of the maps it stands in, and tells the kernel whether the page is dark: WebGL maps have a background of their own.
import { keepKeys } from "./keys.mjs";

const isDark = () => {
  const { jpThemeLight } = document.body.dataset;
  if (jpThemeLight !== undefined) return jpThemeLight === "false";
  return document.body.classList.contains("vscode-dark");
};

function render({ model, el }) {
  el.style.display = "none";
  const tell = () => {
    if (model.get("is_dark") === isDark()) return;
    model.set("is_dark", isDark());
    model.save_changes();
  };
  const stop = new AbortController();
  keepKeys(el, stop.signal);
  const watching = new MutationObserver(tell);
  watching.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  tell();
  return () => {
    stop.abort();
    watching.disconnect();
  };
}

export default { render };
