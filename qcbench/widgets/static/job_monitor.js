// Long work and how it goes: a list of jobs, and of the chosen one its curves, its log and a button that stops it.

const LOOK_EVERY_MS = 2000;
const SIGNS = { waiting: "… waiting", running: "▶ running", done: "✓ done", failed: "✕ failed", stopped: "■ stopped", lost: "? lost" };
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 2", "12 4"];
const WIDTH = 460;
const HEIGHT = 200;
const MARGIN = { left: 46, right: 60, top: 22, bottom: 30 };

/** Return an SVG element; `children` may be texts. */
function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Lines of one quantity over epochs, one a fold, each named at its end: dashes tell them apart as well as colour. */
function chart(title, lines) {
  const values = lines.flatMap((line) => line.points.map((point) => point[1])).filter(Number.isFinite);
  const epochs = Math.max(1, ...lines.flatMap((line) => line.points.map((point) => point[0])));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = high - low || 1;
  const x = (epoch) => MARGIN.left + (epoch / epochs) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value) => HEIGHT - MARGIN.bottom - ((value - low) / span) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${lines.map((line) => `${line.name} ${line.points.at(-1)?.[1].toFixed(3)}`).join("; ")}` });
  svg.append(drawn("text", { x: MARGIN.left, y: 14, class: "qc-title" }, title));
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(drawn("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(value), y2: y(value), class: "qc-grid" }));
    svg.append(drawn("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toPrecision(3)));
  }
  svg.append(drawn("text", { x: x(0), y: HEIGHT - 10, "text-anchor": "middle" }, "1"), drawn("text", { x: x(epochs), y: HEIGHT - 10, "text-anchor": "middle" }, `epoch ${epochs + 1}`));
  const ends = [];
  lines.forEach(({ name, points }, number) => {
    const path = points.map(([epoch, value], place) => `${place ? "L" : "M"}${x(epoch).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(drawn("path", { d: path, class: `qc-line qc-line-${number % 6}`, "stroke-dasharray": DASHES[number % DASHES.length] }));
    const [epoch, value] = points.at(-1);
    ends.push({ at: y(value), x: x(epoch), name, number });
  });
  ends.sort((one, other) => one.at - other.at);
  ends.forEach((end, place) => {
    end.at = place ? Math.max(end.at, ends[place - 1].at + 12) : end.at; // names do not lie on each other
    svg.append(drawn("text", { x: WIDTH - MARGIN.right + 6, y: end.at + 4, class: `qc-name qc-line-${end.number % 6}` }, end.name));
  });
  return svg;
}

class JobMonitorPage {
  constructor(model, root) {
    this.root = root;
    this.transport = new Transport(model, { onMessage: (content) => this.onMessage(content), onChange: () => {} });
    this.list = element("div", { class: "qc-jobs", role: "listbox", "aria-label": "jobs" });
    this.about = element("div", { class: "qc-about" });
    root.replaceChildren(this.list, this.about);
  }

  start() {
    this.transport.start();
    const ask = () => !this.problem && this.transport.post({ kind: "hello" });
    ask();
    this.timer = setInterval(ask, LOOK_EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.transport.stop();
  }

  onMessage(content) {
    if (content.kind === "problem") {
      this.problem = content.why;
      this.about.replaceChildren(element("p", { text: content.why }));
    } else if (content.kind === "state") {
      this.jobs = content.jobs;
      this.show();
    }
  }

  show() {
    if (!this.jobs.length) {
      const how = 'No job yet. Start one with: qc.train(study, task="tier3", where="local")';
      return this.about.replaceChildren(element("p", { class: "qc-none", text: how }));
    }
    const chosen = this.jobs.find((job) => job.job === this.chosen) ?? this.jobs[0];
    this.list.replaceChildren(...this.jobs.map((job) => element(
      "button",
      { type: "button", role: "option", "data-lm-suppress-shortcuts": "true", "aria-selected": String(job === chosen), "data-state": job.state, onclick: () => this.choose(job.job) },
      element("b", { text: SIGNS[job.state] }), element("span", { text: job.verb }), element("small", { text: job.asked_at.slice(0, 16).replace("T", " ") }),
    )));
    this.showOne(chosen);
  }

  choose(job) {
    this.chosen = job;
    this.show();
  }

  showOne(job) {
    const isOn = job.state === "running" || job.state === "waiting";
    const stop = element("button", { type: "button", class: "qc-stop", "data-lm-suppress-shortcuts": "true", hidden: !isOn, onclick: () => this.ask(job.job) }, "stop");
    const words = { lost: "No sign of life: its machine or its watcher ended. Start the same verb again; it goes on where it stopped.", failed: `It ended with status ${job.exit_status}. The last lines of its log say why.`, stopped: "Start the same verb again; it goes on where it stopped." }[job.state];
    const facts = Object.entries(job.facts).map(([name, value]) => `${name} ${value}`).join(" · ");
    const log = element("pre", { class: "qc-log", tabindex: "0", "aria-label": "log" }, job.log.join("\n"));
    const head = element("div", { class: "qc-job-head" }, element("strong", { text: `${job.verb} ${job.options}` }), element("span", { class: "qc-dim", text: `${job.where}${facts ? ` · ${facts}` : ""}` }), stop);
    this.about.replaceChildren(head, words ? element("p", { text: words }) : "", element("div", { class: "qc-charts" }, ...this.charts(job.curves)), log);
    log.scrollTop = log.scrollHeight;
  }

  ask(job) {
    this.transport.post({ kind: "stop", job });
  }

  charts(curves) {
    const runs = [...new Set(curves.map((curve) => curve.run))];
    return runs.flatMap((run) => {
      const mine = curves.filter((curve) => curve.run === run && curve.epochs.length);
      const lines = (column) => mine.map(({ fold, epochs }) => ({ name: fold.replace("-", " "), points: epochs.map((row) => [row.epoch, row[column]]) }));
      if (!mine.length) return [];
      const task = run.split("-")[0];
      return [chart(`${task}: validation loss`, lines("validation_loss")), chart(`${task}: balanced accuracy on validation`, lines("validation_balanced_accuracy"))];
    });
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "qc-job-monitor", "data-theme": model.get("theme") });
    el.replaceChildren(root);
    const page = new JobMonitorPage(model, root);
    page.start();
    return () => page.stop();
  },
};
