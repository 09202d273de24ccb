// A metric of all images in strips, those that stand apart in a list, and the image that is chosen, by keyboard.

const ASK_AGAIN_MS = 8000;
const SETTLE_MS = 60; // while a key is held, only the image at which it stops is asked for
const MARKS = { worse: "✕", apart: "◇", better: "○", "": "•" };
const SIDE_WORDS = { worse: "apart, on the worse side", apart: "apart, no side is better", better: "apart, on the better side", "": "among the others" };
const PICTURES = { screenshot: "Slices", masks: "What it was measured on" };
const DARK_CARD = "<style>body{background:#161618;color:#dededf}th,td{border-color:#43434a}.reason{color:#e6b450}</style></head>";

// JupyterLab's commands ask the focused element itself: without this, D twice deletes a cell.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

class IqmExplorerPage {
  constructor(model, root) {
    this.root = root;
    this.isDark = model.get("theme") === "dark";
    this.transport = new Transport(model, { onMessage: (content, buffers) => this.onMessage(content, buffers), onChange: () => this.showStatus() });
    this.events = new AbortController();
    this.number = 0;
    this.place = null;
    this.build();
  }

  build() {
    const select = (label, key, onchange) => {
      const choice = element("select", { ...OWN_KEYS, "aria-label": label, onchange: () => onchange(choice.value) });
      return [element("label", {}, key ? element("kbd", { text: key }) : null, label, choice), choice];
    };
    const [collection, collections] = select("images", "", (value) => this.ask({ collection: Number(value), place: null }));
    const [metric, metrics] = select("metric", "M", (value) => this.ask({ metric: value }));
    const [grouping, groupings] = select("by", "G", (value) => this.ask({ by: value || null }));
    Object.assign(this, { collection, collections, metrics, groupings });
    this.note = element("span", { class: "qc-note", role: "status", "aria-live": "polite" });
    this.meaning = element("p", { class: "qc-meaning" });
    this.strips = new Strips({ onPick: (place) => this.choose(place) });
    this.legend = element("p", { class: "qc-legend" });
    this.counted = element("p", { class: "qc-counted" });
    this.list = element("div", { class: "qc-list", role: "listbox", "aria-label": "images that stand apart, worst first" });
    this.facts = element("div", { class: "qc-facts", role: "status", "aria-live": "polite" });
    this.figures = Object.fromEntries(Object.keys(PICTURES).map((name) => [name, element("figure", { class: `qc-${name}` })]));
    const act = (key, text, onclick) => element("button", { ...OWN_KEYS, type: "button", tabindex: "-1", onmousedown: (event) => event.preventDefault(), onclick }, element("kbd", { text: key }), text);
    this.logButton = act("L", "log axis", () => this.turnLog());
    this.cardButton = act("O", "card", () => this.askCard());
    this.acts = element("div", { class: "qc-acts" },
      act("N", "next apart", () => this.walk(1)), act("P", "previous", () => this.walk(-1)),
      act("←", "lower", () => this.beside(-1)), act("→", "higher", () => this.beside(1)),
      act("↑", "group above", () => this.across(-1)), act("↓", "below", () => this.across(1)), this.logButton, this.cardButton);
    this.card = element("dialog", { class: "qc-card", "aria-label": "card of the image", onclick: (event) => event.target === this.card && this.card.close() });
    this.problem = element("p", { class: "qc-problem", role: "alert", hidden: true });
    this.body = element("div", { class: "qc-columns" },
      element("div", { class: "qc-left" }, this.strips.box, this.legend, this.counted, this.list),
      element("div", { class: "qc-right" }, this.acts, this.facts, ...Object.values(this.figures)));
    this.head = element("header", {}, metric, grouping, collection, this.note);
    this.root.replaceChildren(this.head, this.meaning, this.body, this.problem, this.card);
  }

  start() {
    this.root.addEventListener("keydown", (event) => this.onKey(event), { signal: this.events.signal });
    this.transport.start();
    this.transport.post({ kind: "hello" });
    this.timer = setInterval(() => this.askAgain(), 1000);
    this.askedAt = performance.now();
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.settling);
    this.events.abort();
    this.strips.stop();
    this.transport.stop();
  }

  /** An answer may be lost with its kernel or its channel. */
  askAgain() {
    if (this.askedAt === null || performance.now() - this.askedAt < ASK_AGAIN_MS) return;
    this.askedAt = performance.now();
    this.transport.post(this.asked ? { kind: "show", number: this.number, ...this.asked } : { kind: "hello" });
  }

  ask({ place = this.place, ...changes }) {
    this.place = place;
    this.asked = { ...this.asked, ...changes };
    this.number += 1;
    this.askedAt = performance.now();
    this.root.classList.add("qc-waiting");
    this.transport.post({ kind: "show", number: this.number, ...this.asked });
  }

  onMessage(content, buffers) {
    const isNew = content.number === this.number;
    if (content.kind === "problem") this.showProblem(content.why);
    else if (content.kind === "refused") this.refused(content.why);
    else if (content.kind === "state") this.showState(content);
    else if (content.kind === "strips" && isNew) this.showStrips(content, buffers[0]);
    else if (content.kind === "image" && isNew && content.place === this.place) this.showFacts(content);
    else if (content.kind === "picture" && isNew) this.showPicture(content, buffers[0]);
    else if (content.kind === "card" && isNew) this.showCard(buffers[0]);
  }

  showProblem(why) {
    this.askedAt = null;
    this.problem.textContent = why;
    this.problem.hidden = false;
    this.head.hidden = this.meaning.hidden = this.body.hidden = true;
  }

  refused(why) {
    this.askedAt = null;
    this.words = why;
    this.root.classList.remove("qc-waiting");
    this.showStatus();
  }

  showState({ collections, groupings, z_limit }) {
    this.limit = z_limit;
    this.collections.replaceChildren(...collections.map((text, number) => element("option", { value: String(number), text })));
    this.collection.hidden = collections.length < 2;
    this.groupings.replaceChildren(...groupings.map(([name, text]) => element("option", { value: name ?? "", text })));
  }

  showStrips(told, buffer) {
    const { collection, by, metric } = told;
    this.asked = { collection, by, metric };
    this.askedAt = null;
    this.words = "";
    this.told = told;
    this.root.classList.remove("qc-waiting");
    this.collections.value = String(collection);
    this.groupings.value = by ?? "";
    this.metrics.replaceChildren(...told.metrics.map(([name, n]) => element("option", { value: name, text: n ? `${name}  ✕ ${n}` : name })));
    this.metrics.value = metric;
    this.showMeaning(told.definition);
    this.strips.over.setAttribute("aria-label", `${metric} of ${told.n_images} images in ${told.groups.length} groups; ${told.n_listed} stand apart`);
    this.place ??= told.outliers[0]?.place ?? (told.n_images ? 0 : null);
    this.strips.chosen = this.place;
    this.strips.show(told, new Float32Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength)));
    this.showLegend(told);
    this.showList(told);
    if (this.place !== null) this.choose(this.place);
    this.root.dataset.shown = `${metric} ${by ?? ""}`.trim();
  }

  showMeaning({ doc, unit, definition, reference, ours, direction }) {
    const parts = [unit ? `in ${unit}` : "", definition, ours ? `here ${ours}` : ""].filter(Boolean).join("; ");
    this.meaning.replaceChildren(element("b", { text: doc || this.told.metric }), element("em", { text: direction }), element("span", { text: parts, title: reference }));
  }

  showLegend({ groups, usual, origin, n_images, n_simulated, nulls, n_null }) {
    const sides = ["worse", "apart", "better"].filter((side) => groups.some((group) => group[`n_${side}`]));
    const item = (mark, text, name) => element("span", {}, element("i", { class: `qc-mark qc-of-${name}`, text: mark, "aria-hidden": "true" }), text);
    this.legend.replaceChildren(
      item("", "median and middle half of the group", "quartiles"),
      usual.length ? item("", `middle half of ${origin}: ${short(usual[0])} to ${short(usual[1])}, which is usual and need not be good`, "usual") : element("span", { text: "no public records to compare with" }),
      ...sides.map((side) => item(MARKS[side], SIDE_WORDS[side], side)));
    const reasons = nulls.map(([reason, n]) => `${reason} (${n})`).join("; ");
    const simulated = n_simulated ? `, ${n_simulated} of them SIMULATED` : "";
    this.counted.textContent = `${n_images.toLocaleString("en")} images${simulated}; ${n_null ? `null in ${n_null}: ${reasons}` : "null in none"}`;
  }

  showList({ outliers, n_listed, metric }) {
    const rule = `beyond ${this.limit} robust standard deviations of its own group or of all images`;
    const drawn = outliers.length < n_listed ? `, the first ${outliers.length} are listed` : "";
    const title = element("p", { class: "qc-listed", text: n_listed ? `${n_listed} stand apart, ${rule}, worst first${drawn}` : `none stands apart: no ${metric} ${rule}` });
    this.rows = outliers.map((row) => element("div", { class: "qc-row", role: "option", "data-side": row.side, onclick: () => this.choose(row.place) },
      element("span", { class: `qc-mark qc-of-${row.side}`, text: MARKS[row.side], title: SIDE_WORDS[row.side] }),
      element("span", { class: "qc-id", text: row.image_id, title: row.image_id }), element("span", { class: "qc-number", text: row.value }), element("span", { class: "qc-why", text: row.why })));
    this.list.replaceChildren(title, ...this.rows);
  }

  choose(place) {
    this.place = place;
    this.strips.choose(place);
    this.rows.forEach((row, number) => row.setAttribute("aria-selected", String(this.told.outliers[number].place === place)));
    const row = this.rows[this.told.outliers.findIndex((each) => each.place === place)];
    if (row) this.reveal(row);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.transport.post({ kind: "image", number: this.number, place, ...this.asked }), SETTLE_MS);
  }

  /** Scroll the list alone: scrollIntoView would move the notebook too. */
  reveal(row) {
    const [top, bottom] = [row.offsetTop, row.offsetTop + row.offsetHeight];
    const { scrollTop, clientHeight } = this.list;
    if (top < scrollTop + row.offsetHeight) this.list.scrollTop = top - row.offsetHeight;
    else if (bottom > scrollTop + clientHeight) this.list.scrollTop = bottom - clientHeight;
  }

  showFacts({ image_id, metric, value, side, why, usual, from, is_simulated, has_card, place }) {
    this.cardButton.disabled = !has_card;
    this.facts.replaceChildren(
      element("b", { class: "qc-id", text: image_id }),
      element("span", { class: "qc-from", text: from }), is_simulated ? element("strong", { class: "qc-simulated", text: "SIMULATED" }) : "",
      element("p", { class: "qc-value" }, `${metric} `, element("b", { text: value }), element("span", { class: `qc-mark qc-of-${side || "dot"}`, text: ` ${MARKS[side]} ${value === "null" ? "" : SIDE_WORDS[side]}` })),
      element("p", { class: "qc-why", text: [why, usual].filter(Boolean).join("; ") }));
    this.root.dataset.image = String(place);
  }

  async showPicture({ name, why }, buffer) {
    const figure = this.figures[name];
    const caption = element("figcaption", { text: why ? `${PICTURES[name]}: ${why}` : PICTURES[name] });
    const place = this.place;
    if (!buffer) return void figure.replaceChildren(caption);
    const image = element("img", { alt: `${PICTURES[name]} of the chosen image`, draggable: "false", onclick: () => this.askCard() });
    const url = URL.createObjectURL(new Blob([buffer], { type: "image/png" }));
    image.src = url;
    try {
      await image.decode();
      if (place === this.place) figure.replaceChildren(caption, image);
    } catch {
      figure.replaceChildren(element("figcaption", { text: `${PICTURES[name]}: the picture cannot be decoded` }));
    } finally {
      URL.revokeObjectURL(url); // the element keeps what it has loaded
    }
  }

  askCard() {
    if (this.place !== null && !this.cardButton.disabled) this.transport.post({ kind: "card", number: this.number, place: this.place, ...this.asked });
  }

  /** In a frame that runs no script and reaches nothing, whoever wrote the file. */
  showCard(buffer) {
    const page = new TextDecoder().decode(buffer);
    const close = element("button", { ...OWN_KEYS, type: "button", text: "close ( Esc )", onclick: () => this.card.close() });
    const frame = element("iframe", { sandbox: "", title: "card", srcdoc: this.isDark ? page.replace("</head>", DARK_CARD) : page });
    this.card.replaceChildren(close, frame);
    if (!this.card.open) this.card.showModal();
    close.focus();
  }

  onKey(event) {
    if (!this.told || event.ctrlKey || event.altKey || event.metaKey || this.card.open) return;
    if (event.target instanceof HTMLSelectElement) {
      if (event.key !== "Enter" && event.key !== "Escape") return; // arrows and letters choose in it
      event.preventDefault();
      return this.root.focus({ preventScroll: true });
    }
    const keys = {
      ArrowLeft: () => this.beside(-1), ArrowRight: () => this.beside(1), ArrowUp: () => this.across(-1), ArrowDown: () => this.across(1),
      Home: () => this.beside(-Infinity), End: () => this.beside(Infinity), PageDown: () => this.turn(1), PageUp: () => this.turn(-1),
      n: () => this.walk(1), p: () => this.walk(-1), o: () => this.askCard(), l: () => this.turnLog(), m: () => this.metrics.focus(), g: () => this.groupings.focus(),
    };
    const action = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  beside(way) {
    if (this.place !== null) this.choose(this.strips.beside(this.place, way) ?? this.place);
  }

  across(way) {
    if (this.place !== null) this.choose(this.strips.across(this.place, way));
  }

  /** Go on in the list of those that stand apart; from an image that is not in it, to its begin. */
  walk(way) {
    const { outliers } = this.told;
    const at = outliers.findIndex((row) => row.place === this.place);
    const next = outliers[at < 0 ? 0 : Math.min(Math.max(at + way, 0), outliers.length - 1)];
    if (next) this.choose(next.place);
  }

  turnLog() {
    this.strips.turnLog(!this.strips.isLog);
    this.logButton.setAttribute("aria-pressed", String(Boolean(this.strips.isLog)));
  }

  turn(way) {
    const at = this.told.metrics.findIndex(([name]) => name === this.asked.metric);
    const next = this.told.metrics[at + way];
    if (next) this.ask({ metric: next[0] });
  }

  showStatus() {
    const words = this.words || (this.transport.status().gone ? "The kernel does not answer: it is busy or gone." : "");
    if (this.note && this.note.textContent !== words) this.note.textContent = words;
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { ...OWN_KEYS, class: "qc-iqms", tabindex: "0", role: "region", "aria-label": "metrics of the images" });
    root.dataset.theme = model.get("theme");
    el.replaceChildren(root);
    const page = new IqmExplorerPage(model, root);
    page.start();
    return () => page.stop();
  },
};
