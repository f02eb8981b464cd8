// What the harness knows about the JupyterLab page; evaluated once per page load by lab.py.
(() => {
  const seen = { notebook: null, kernel: null, open: new Set(), errors: [], sent: 0, changed: performance.now() };
  const touch = () => (seen.changed = performance.now());
  const panel = () => window.jupyterapp?.shell.currentWidget;

  // One 'idle' can hide another request's 'busy' (subshells), so requests are counted one by one.
  function listen(kernel) {
    Object.assign(seen, { kernel, open: new Set() });
    kernel.iopubMessage.connect((_, message) => {
      const { msg_type: type } = message.header;
      const { msg_id: id, msg_type: cause } = message.parent_header;
      if (type === "status") {
        message.content.execution_state === "idle" ? seen.open.delete(id) : seen.open.add(id);
        touch();
      } else if (type === "error") {
        const source = cause === "execute_request" ? "cell" : "callback";
        seen.errors.push(`${source}: ${message.content.ename}: ${message.content.evalue}`);
      }
    });
    kernel.anyMessage.connect((_, { msg, direction }) => {
      if (direction === "send" && msg.header.msg_type === "comm_msg") seen.sent += 1;
    });
    kernel.statusChanged.connect((_, status) => {
      touch();
      if (!["dead", "autorestarting"].includes(status)) return;
      seen.open.clear();
      seen.errors.push(`kernel: ${status}`);
    });
  }

  function watch(notebook) {
    seen.notebook = notebook;
    touch();
    new MutationObserver(touch).observe(notebook.node, {
      subtree: true, childList: true, characterData: true,
      attributeFilter: ["src", "style", "aria-valuenow", "aria-busy", "data-drawn"],
    });
  }

  function state() {
    const session = panel()?.sessionContext;
    const notebook = panel()?.content;
    if (!session || !notebook?.widgets) return { ready: false };
    const kernel = session.session?.kernel;
    if (seen.notebook !== notebook) watch(notebook);
    if (kernel && seen.kernel !== kernel) listen(kernel);
    const code = notebook.widgets.filter((cell) => cell.model.type === "code");
    const outputs = [...notebook.node.querySelectorAll(".jp-OutputArea-output")].map((out) => out.textContent);
    const running = (cell) => (cell.model.executionState ?? "idle") !== "idle";
    const waiting = {
      cells: code.filter(running).length,
      requests: seen.open.size,
      images: [...notebook.node.querySelectorAll("img")].filter((image) => !image.complete).length,
      widgets: outputs.filter((text) => /^Loading widget/.test(text)).length,
      rows: notebook.node.querySelectorAll(".mswin-board-rows[aria-busy=true]").length, // built anew once decoded
    };
    return {
      ready: session.kernelDisplayStatus === "idle" && kernel?.connectionStatus === "connected",
      dialog: document.querySelector(".jp-Dialog")?.textContent ?? "",
      waiting,
      quiet: (performance.now() - seen.changed) / 1000,
      unrun: code.filter((cell) => cell.model.executionCount === null && cell.model.sharedModel.source.trim()).length,
      errors: seen.errors,
      broken: outputs.filter((text) => /Error (displaying|creating|rendering) widget|model not found/i.test(text)),
      log: document.querySelector(".jp-LogConsoleStatusItem")?.textContent ?? "",
    };
  }

  // How many messages the page's widgets have sent to their kernel.
  const sent = () => seen.sent;

  async function ask(expression) {
    const request = { code: "", silent: true, store_history: false, user_expressions: { it: expression } };
    const reply = await panel().sessionContext.session.kernel.requestExecute(request).done;
    const { status, data, evalue } = reply.content.user_expressions.it;
    return { ok: status === "ok", text: status === "ok" ? data["text/plain"] : evalue };
  }

  function execute(code) {
    touch(); // the page is not at rest before the kernel has begun
    panel().sessionContext.session.kernel.requestExecute({ code });
  }

  function pixels(canvas) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
    return { width: canvas.width, height: canvas.height, data: btoa(text) };
  }

  // Milliseconds from the next key press or click to the first frame in which the canvas has other pixels.
  function latency(css) {
    const small = new OffscreenCanvas(32, 64).getContext("2d", { willReadFrequently: true }); // looking must be cheap
    const look = () => {
      const seen = document.querySelector(css); // may be built anew, and for a moment not be there, or be blank
      if (!seen) return null;
      small.clearRect(0, 0, 32, 64);
      small.drawImage(seen, 0, 0, 32, 64);
      const values = small.getImageData(0, 0, 32, 64).data;
      return values.some((value) => value) ? String(values) : null;
    };
    const before = look();
    window.mswinLatency = new Promise((done) => {
      const begin = (event) => {
        for (const type of ["keydown", "pointerdown", "change"]) window.removeEventListener(type, begin, true);
        const frame = () => ([before, null].includes(look()) ? requestAnimationFrame(frame) : done(performance.now() - event.timeStamp));
        requestAnimationFrame(frame);
      };
      for (const type of ["keydown", "pointerdown", "change"]) window.addEventListener(type, begin, true);
    });
  }

  window.mswinLab = { state, ask, execute, pixels, latency, sent };
})();
