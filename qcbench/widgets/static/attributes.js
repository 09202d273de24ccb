// The descriptions of a warehouse, most frequent first, to be marked by keyboard: keep, not, or not yet.

const MOST_SHOWN = 400;
const MOST_CHANGES = 2000; // of one message, by the kernel
const MARKS = { yes: "keep", no: "not", "": "" };

class AttributesPage {
  constructor(model, root) {
    this.root = root;
    this.transport = new Transport(model, { onMessage: (content) => this.onMessage(content), onChange: () => this.showStatus() });
    this.tabs = element("div", { class: "qc-tabs", role: "tablist" });
    this.search = element("input", { type: "search", placeholder: "search ( / )", "aria-label": "search", oninput: () => this.select(0) });
    this.saved = element("span", { class: "qc-saved", role: "status", "aria-live": "polite" });
    this.told = element("p", { class: "qc-told", role: "status", "aria-live": "polite" });
    this.table = element("div", { class: "qc-rows", role: "grid", "aria-label": "descriptions" });
    const open = element("label", {}, (this.onlyOpen = element("input", { type: "checkbox", onchange: () => this.select(0) })), "not marked yet");
    const act = (key, text, onclick) => element("button", { type: "button", tabindex: "-1", "data-lm-suppress-shortcuts": "true", onmousedown: (event) => event.preventDefault(), onclick }, element("kbd", { text: key }), text);
    this.acts = element("div", { class: "qc-acts" },
      act("K", "keep", () => this.mark("yes")), act("N", "not", () => this.mark("no")), act("U", "take the mark away", () => this.mark("")), act("Z", "undo", () => this.undo()),
      act("Shift K", "keep all that are shown", () => this.markShown("yes")), act("Shift N", "none that are shown", () => this.markShown("no")));
    root.replaceChildren(
      element("header", {}, this.tabs, this.search, open, element("span", { class: "qc-gap" }), this.saved),
      element("p", { class: "qc-rule", text: "In doubt, keep: what is kept is looked at by raters, what is not is lost. The suggestion decides nothing." }),
      this.acts, this.told,
      element("div", { class: "qc-row qc-heads", "aria-hidden": "true" }, ...["mark", "value", "suggestion", "series"].map((text) => element("span", { class: text === "series" ? "qc-number" : "", text }))),
      this.table,
    );
    this.undone = []; // lists of [attribute, value, mark before]
    this.events = new AbortController();
  }

  start() {
    const { signal } = this.events;
    this.root.addEventListener("keydown", (event) => this.onKey(event), { signal });
    this.transport.start();
    this.transport.post({ kind: "hello" });
    this.timer = setInterval(() => !this.rows && !this.problem && this.transport.post({ kind: "hello" }), 2000);
  }

  stop() {
    clearInterval(this.timer);
    this.events.abort();
    this.transport.stop();
  }

  onMessage(content) {
    if (content.kind === "problem") {
      this.problem = content.why;
      this.table.replaceChildren(element("p", { class: "qc-problem-words", text: content.why }));
    } else if (content.kind === "state" && !this.rows) {
      this.rows = content.rows;
      this.attributes = content.attributes;
      this.turnTo(this.attributes.includes("SeriesDescription") ? "SeriesDescription" : this.attributes[0]);
      this.root.focus({ preventScroll: true });
    }
  }

  turnTo(attribute) {
    this.attribute = attribute;
    this.select(0);
  }

  shown() {
    const wanted = this.search.value.trim().toLowerCase();
    return this.rows.filter((row) => row.attribute === this.attribute && row.value.toLowerCase().includes(wanted) && !(this.onlyOpen.checked && row.keep && row !== this.justMarked));
  }

  select(place) {
    if (!this.rows) return;
    this.list = this.shown();
    this.place = Math.min(Math.max(place, 0), Math.max(Math.min(this.list.length, MOST_SHOWN) - 1, 0));
    this.show();
  }

  onKey(event) {
    if (!this.rows || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target === this.search) {
      if (event.key !== "Enter" && event.key !== "Escape") return event.stopPropagation();
      if (event.key === "Escape") this.search.value = "";
      event.preventDefault();
      this.root.focus({ preventScroll: true });
      return this.select(0);
    }
    const keys = {
      ArrowDown: () => this.select(this.place + 1), ArrowUp: () => this.select(this.place - 1),
      PageDown: () => this.select(this.place + 12), PageUp: () => this.select(this.place - 12), Home: () => this.select(0), End: () => this.select(MOST_SHOWN),
      k: () => this.mark("yes"), n: () => this.mark("no"), u: () => this.mark(""), z: () => this.undo(),
      K: () => this.markShown("yes"), N: () => this.markShown("no"),
      "/": () => this.search.focus(), 1: () => this.turn(0), 2: () => this.turn(1), 3: () => this.turn(2),
    };
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  turn(number) {
    if (this.attributes[number]) this.turnTo(this.attributes[number]);
  }

  mark(keep) {
    const row = this.list[this.place];
    if (!row) return;
    this.justMarked = null;
    this.write([[row, keep]]);
    const stays = !this.onlyOpen.checked || !keep;
    this.select(this.place + (stays && keep ? 1 : 0));
  }

  /** Mark everything that the search leaves, also what is not drawn; it can be undone in one step. */
  markShown(keep) {
    if (this.search.value.trim() === "") return void (this.told.textContent = "Search first: without it this would mark the whole list.");
    this.write(this.list.filter((row) => row.keep !== keep).map((row) => [row, keep]));
    this.select(this.place);
  }

  undo() {
    const before = this.undone.pop();
    if (!before) return;
    this.write(before, { isUndo: true });
    this.select(this.list.indexOf(before[0][0]) >= 0 ? this.list.indexOf(before[0][0]) : this.place);
  }

  write(marks, { isUndo = false } = {}) {
    if (!marks.length) return;
    if (!isUndo) this.undone.push(marks.map(([row]) => [row, row.keep]));
    for (let at = 0; at < marks.length; at += MOST_CHANGES) {
      const event_id = newEventId();
      const changes = marks.slice(at, at + MOST_CHANGES).map(([row, keep]) => [row.attribute, row.value, keep]);
      this.transport.commit(event_id, [{ kind: "mark", event_id, changes }]);
    }
    for (const [row, keep] of marks) row.keep = keep;
  }

  show() {
    this.tabs.replaceChildren(...this.attributes.map((name, number) => {
      const rows = this.rows.filter((row) => row.attribute === name);
      const n = rows.filter((row) => row.keep).length;
      return element("button", { type: "button", role: "tab", tabindex: "-1", "aria-selected": String(name === this.attribute), onclick: () => this.turnTo(name) }, element("kbd", { text: String(number + 1) }), `${name} `, element("small", { text: `${n} of ${rows.length} marked` }));
    }));
    const drawn = this.list.slice(0, MOST_SHOWN);
    const series = this.list.filter((row) => !row.keep).reduce((sum, row) => sum + Number(row.n_series || 0), 0);
    this.told.textContent = `${this.list.length} values${drawn.length < this.list.length ? `, the first ${MOST_SHOWN} are drawn` : ""}; those without a mark stand in ${series} series`;
    this.table.replaceChildren(...drawn.map((row, place) => this.row(row, place)));
    this.table.children[this.place]?.scrollIntoView({ block: "nearest" });
  }

  row({ value, n_series, suggestion, keep }, place) {
    const text = value === "" ? element("i", { text: "(empty)" }) : value;
    return element("div", { class: "qc-row", role: "row", "data-keep": keep, "aria-selected": String(place === this.place), onclick: () => this.select(place) },
      element("span", { class: "qc-mark", text: { yes: "✓ keep", no: "✕ not" }[keep] ?? keep }), element("span", { class: "qc-value" }, text),
      element("span", { class: "qc-suggestion", text: suggestion }), element("span", { class: "qc-number", text: Number(n_series || 0).toLocaleString("en") }));
  }

  showStatus() {
    const { waiting, refused, late, gone } = this.transport.status();
    const isTrouble = refused || late || gone;
    this.saved.textContent = isTrouble ? (waiting || refused ? "✕ NOT SAVED" : "✕ not connected") : waiting ? "… not saved yet" : "✓ all saved";
    this.saved.classList.toggle("qc-trouble", Boolean(isTrouble));
    if (refused) this.told.textContent = `Not saved: ${this.transport.takeRefused().why}. Load the page again.`;
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "qc-attributes", tabindex: "0", "data-lm-suppress-shortcuts": "true", "data-theme": model.get("theme") });
    root.classList.toggle("qc-fills-page", model.get("fills_page"));
    el.replaceChildren(root);
    const page = new AttributesPage(model, root);
    page.start();
    return () => page.stop();
  },
};
