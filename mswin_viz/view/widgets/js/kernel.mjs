// Whether a kernel still answers for a widget in the page.

export const GONE = "kernel gone";
const ENDED = ["restarting", "autorestarting", "terminating", "dead"];

// `gone` is called once, when the kernel dies, restarts or is shut down; a lost connection that comes back is none of these.
export function watchKernel(model, signal, gone) {
  let isOver = false;
  const end = () => {
    if (isOver || signal.aborted) return;
    isOver = true;
    gone();
  };
  const follow = (_kernel, status) => ENDED.includes(status) && end();
  const kernel = model.widget_manager?.kernel; // JupyterLab and Notebook have one; other front ends need not
  const signals = [[kernel?.statusChanged, follow], [kernel?.disposed, end]];
  signals.forEach(([source, react]) => source?.connect?.(react));
  model.on("comm_live_update", end);
  signal.addEventListener("abort", () => {
    signals.forEach(([source, react]) => source?.disconnect?.(react));
    model.off("comm_live_update", end);
  });
}
