// How the labelling goes, for the coordinator: tables, a line of days for each rater, a list to take away.

const NOT_KNOWN = "–";
const LOOK_EVERY_MS = 30_000;

/** Return a table; `columns` are [head, cell of a row], numbers stand to the right. */
function tableOf(caption, columns, rows) {
  const isNumber = (text) => /^(–|\d[\d.,]*( %| of \d+| \[.*)?)$/.test(text);
  const side = (cell, row) => (row && isNumber(cell(row)) ? "qc-number" : undefined);
  const head = element("tr", {}, ...columns.map(([name, cell]) => element("th", { scope: "col", class: side(cell, rows[0]), text: name })));
  const body = rows.map((row) => element("tr", {}, ...columns.map(([, cell], place) => {
    return element(place ? "td" : "th", { scope: place ? undefined : "row", class: side(cell, row), text: cell(row) });
  })));
  return element("table", {}, element("caption", { text: caption }), element("thead", {}, head), element("tbody", {}, ...body));
}

function number(value, digits = 0) {
  return value === null || value === undefined ? NOT_KNOWN : value.toFixed(digits);
}

function percent(share) {
  return share === null ? NOT_KNOWN : `${(100 * share).toFixed(0)} %`;
}

function interval({ value, low, high, reason }) {
  if (value === null) return reason ?? NOT_KNOWN;
  return low === null ? value.toFixed(2) : `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}

/** Return CSV text; a text that a spreadsheet would take for a formula gets an apostrophe in front. */
function csvOf(rows) {
  const quoted = (value) => {
    const text = String(value ?? "");
    const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  const names = Object.keys(rows[0]);
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

class CoordinatorPage {
  constructor(model, root) {
    this.root = root;
    this.transport = new Transport(model, { onMessage: (content) => this.onMessage(content), onChange: () => this.showStatus() });
    this.status = element("span", { class: "qc-saved", role: "status" });
    this.body = element("div", { class: "qc-body" });
    const again = element("button", { type: "button", "data-lm-suppress-shortcuts": "true", text: "look again", onclick: () => this.ask() });
    this.head = element("h2", { text: "Labelling" });
    root.replaceChildren(element("header", {}, this.head, this.status, again), this.body);
  }

  start() {
    this.transport.start();
    this.ask();
    this.timer = setInterval(() => this.ask(), LOOK_EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.transport.stop();
  }

  ask() {
    if (!this.problem) this.transport.post({ kind: "hello" });
  }

  onMessage(content) {
    if (content.kind === "problem") {
      this.problem = content.why;
      this.body.replaceChildren(element("p", { class: "qc-problem-words", text: content.why }));
    } else if (content.kind === "state") this.show(content);
  }

  show(state) {
    this.state = state;
    this.head.textContent = `Labelling of ${state.study}`;
    this.body.replaceChildren(this.raters(), this.days(), this.agreement(), this.waiting());
    this.showStatus();
  }

  raters() {
    const columns = [
      ["rater", (row) => row.rater],
      ["labelled", (row) => `${row.n_labelled} of ${row.n_images}`],
      ["repeats", (row) => number(row.n_repeats)],
      ["from the volume", (row) => number(row.n_from_volume)],
      ["put off", (row) => number(row.n_put_off)],
      ["changed", (row) => number(row.n_revisions)],
      ["rejected", (row) => percent(row.share_rejected)],
      ["seconds an image", (row) => number(row.median_seconds, 1)],
      ["an hour", (row) => number(row.labels_per_hour)],
      ["hours left", (row) => number(row.hours_left, 1)],
      ["last label", (row) => (row.last_label_at ? new Date(row.last_label_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : NOT_KNOWN)],
    ];
    return element("section", {}, tableOf("Raters (seconds: median from paint to commit; an hour: within sittings, breaks left out)", columns, this.state.raters));
  }

  days() {
    const { days } = this.state;
    if (!days.length) return element("section", {}, element("p", { text: "Nobody has labelled anything yet." }));
    const columns = [
      ["rater", (row) => row.rater],
      ["day", (row) => row.day],
      ["labels", (row) => number(row.n)],
      ["seconds", (row) => number(row.median_seconds, 1)],
      ["rejected", (row) => percent(row.share_rejected)],
      ["mean motion", (row) => number(row.mean_motion, 2)],
      ["mean contrast", (row) => number(row.mean_contrast, 2)],
      ["mean noise", (row) => number(row.mean_noise, 2)],
    ];
    return element("section", {}, tableOf("By day: a scale that moves shows here", columns, days), this.takeAway("by-day.csv", days));
  }

  agreement() {
    const rows = this.state.agreement.filter((row) => row.statistic !== "percent_agreement");
    if (!rows.length) return element("section", {}, element("p", { text: "Agreement is not computed yet: qcbench agreement STUDY" }));
    const columns = [
      ["characteristic", (row) => row.characteristic.replaceAll("_", " ")],
      ["raters", (row) => row.raters.replaceAll(",", ", ")],
      ["statistic", (row) => row.statistic.replaceAll("_", " ")],
      ["value [95% interval]", interval],
      ["images", (row) => number(row.n)],
    ];
    return element("section", {}, tableOf("Agreement (higher is better; a rater named twice saw the images again, or their volume)", columns, rows), this.takeAway("agreement.csv", this.state.agreement));
  }

  waiting() {
    const { waiting, n_consensus, n_stale } = this.state;
    const counts = new Map();
    for (const { waits_for, raters } of waiting) {
      for (const rater of raters.split(",")) {
        const key = waits_for === "review" ? "joint review (both raters)" : `${waits_for === "label" ? "a label" : "a label that was put off"} by ${rater}`;
        counts.set(key, (counts.get(key) ?? 0) + (waits_for === "review" ? 1 / raters.split(",").length : 1));
      }
    }
    const rows = Array.from(counts, ([what, n]) => ({ what, n: Math.round(n) }));
    const table = tableOf("What waits", [["images wait for", (row) => row.what], ["images", (row) => number(row.n)]], rows);
    const stale = n_stale ? ` ${n_stale} of them rest on labels that changed since: run qcbench consensus again.` : "";
    const words = element("p", { text: `${n_consensus} images have a consensus.${stale}` });
    return element("section", {}, rows.length ? table : element("p", { text: "Nothing waits." }), words, this.takeAway("waiting.csv", waiting));
  }

  /** Return a button that gives a table to take away; the file is made here and goes nowhere else. */
  takeAway(name, rows) {
    if (!rows.length) return null;
    const give = () => {
      const url = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
      element("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    };
    return element("button", { type: "button", "data-lm-suppress-shortcuts": "true", text: `take away ${name}`, onclick: give });
  }

  showStatus() {
    const { gone } = this.transport.status();
    const asked = this.state ? `as of ${new Date(this.state.asked_at).toLocaleTimeString([], { timeStyle: "short" })}` : "reading the labels";
    this.status.textContent = gone ? "✕ not connected: the kernel does not answer" : asked;
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "qc-coordinator", "aria-label": "how the labelling goes" });
    root.dataset.theme = model.get("theme");
    el.replaceChildren(root);
    const page = new CoordinatorPage(model, root);
    page.start();
    return () => page.stop();
  },
};
