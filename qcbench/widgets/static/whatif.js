// Sliders for artefacts, and what the kernel makes of them. The kernel computes; this page asks and shows.

const ASK_AFTER_MS = 120; // a slider on its way is not asked about
const ASK_AGAIN_MS = 8000;
const GRADE_MARKS = ["○", "◐", "●"];

// JupyterLab's commands ask the focused element itself: without this, D twice on a slider deletes a cell.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

let nWhatIfs = 0; // labels find their controls by ids

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** One row of controls: which artefact, how strong, and what is measured of it. */
class Control {
  constructor(family, { prefix, onChange }) {
    this.family = family;
    const id = `${prefix}-${family.name}`;
    this.slider = element("input", { ...OWN_KEYS, type: "range", min: "0", max: "100", step: "1", value: "0", id, "aria-describedby": `${id}-told`, oninput: () => this.changed() });
    this.value = element("output", { class: "qc-value", for: id });
    this.choice = element("select", { ...OWN_KEYS, "aria-label": `${family.label}: which artefact`, onchange: () => this.changed() });
    this.choice.append(...family.artefacts.map(({ name, label }) => element("option", { value: name, text: label })));
    this.told = element("span", { class: "qc-told", id: `${id}-told` });
    this.severity = element("span", { class: "qc-severity", title: "measured severity: what was added to the original" });
    const isGraded = Boolean(family.begins);
    this.box = element(
      "div",
      { class: "qc-control", role: "group", "aria-label": family.label, "data-family": family.name, title: family.help },
      element("div", { class: "qc-title" }, element("label", { for: id, text: family.label }), family.artefacts.length > 1 ? this.choice : this.told),
      element("div", { class: "qc-slide" }, this.slider, this.value),
      isGraded ? element("div", { class: "qc-slide" }, this.scale(family.begins), this.severity) : null,
      isGraded ? this.told : null,
    );
    this.onChange = onChange;
    this.showValue();
  }

  /** Where the grades begin on the scale of severity, drawn as three stretches with their numbers. */
  scale([visible, severe]) {
    this.end = 1.5 * severe;
    this.pointer = element("span", { class: "qc-pointer", hidden: true });
    const widths = [visible, severe - visible, this.end - severe];
    const stretches = widths.map((width, grade) => {
      const stretch = element("span", { class: "qc-stretch", text: String(grade) });
      stretch.style.width = `${(100 * width) / this.end}%`;
      return stretch;
    });
    return element("div", { class: "qc-scale", "aria-hidden": "true" }, ...stretches, this.pointer);
  }

  changed() {
    this.showValue();
    this.onChange();
  }

  showValue() {
    this.value.textContent = `${this.slider.value} %`;
    this.slider.setAttribute("aria-valuetext", this.value.textContent);
  }

  get artefact() {
    return this.choice.value;
  }

  get strength() {
    return Number(this.slider.value) / 100;
  }

  set(artefact, strength) {
    this.choice.value = artefact;
    this.slider.value = String(Math.round(100 * strength));
    this.showValue();
  }

  show({ grade, words, severity }) {
    const mark = grade === null ? "" : `${GRADE_MARKS[grade] ?? ""} `;
    this.told.textContent = mark + words;
    this.severity.textContent = severity === undefined ? "" : severity === null ? "none" : severity.toFixed(2);
    if (!this.pointer) return;
    this.pointer.hidden = typeof severity !== "number";
    this.pointer.style.left = `${100 * Math.min(Math.max(severity / this.end, 0), 1)}%`;
  }
}

class WhatIfView {
  constructor(root, actions) {
    this.root = root;
    this.prefix = `qc-whatif-${(nWhatIfs += 1)}`;
    this.original = this.figure("Original", "qc-original");
    this.copy = this.figure("SIMULATED", "qc-copy");
    this.note = element("span", { class: "qc-note", role: "status", "aria-live": "polite" });
    this.tier = element("strong", { class: "qc-tier" });
    this.rule = element("span", { class: "qc-rule" });
    this.controls = element("div", { class: "qc-controls" });
    this.model = element("div", { class: "qc-model", hidden: true });
    this.problem = element("p", { class: "qc-problem", role: "alert", hidden: true });
    this.draw = element("button", { ...OWN_KEYS, type: "button", class: "qc-draw", text: "another draw", title: "the same strengths, drawn by chance anew", onclick: actions.draw });
    this.reset = element("button", { ...OWN_KEYS, type: "button", class: "qc-reset", text: "reset", title: "all strengths to 0", onclick: actions.reset });
    this.pictures = element("div", { class: "qc-pictures" }, this.original.box, this.copy.box);
    this.panel = element(
      "div",
      { class: "qc-panel" },
      element("div", { class: "qc-verdict", role: "status", "aria-live": "polite" }, this.tier, this.rule),
      this.controls,
      element("div", { class: "qc-buttons" }, this.draw, this.reset, this.note),
      this.model,
      element("p", { class: "qc-hint", text: "The number beside each scale is the measured severity of what was added; what the original has itself does not count." }),
    );
    this.columns = element("div", { class: "qc-columns" }, this.pictures, this.panel);
    root.replaceChildren(this.problem, this.columns);
  }

  figure(title, className) {
    const frame = element("div", { class: "qc-frame" }, element("span", { class: "qc-waits", text: "loading the scan" }));
    const detail = element("span", { class: "qc-detail" });
    const busy = element("span", { class: "qc-busy", text: "computing", hidden: true });
    const caption = element("figcaption", {}, element("b", { text: title }), detail, busy);
    return { box: element("figure", { class: className }, caption, frame), frame, detail, busy };
  }

  build(families, onChange) {
    this.byName = new Map(families.map((family) => [family.name, new Control(family, { prefix: this.prefix, onChange })]));
    this.controls.replaceChildren(...Array.from(this.byName.values(), (control) => control.box));
  }

  /** What was added, in words: the caption of the simulated row. */
  added(strengths) {
    const present = Array.from(this.byName.values()).filter(({ family }) => family.artefacts.some(({ name }) => strengths[name] > 0));
    const words = present.map(({ family }) => {
      const { name, label } = family.artefacts.find((artefact) => strengths[artefact.name] > 0);
      return `${label} ${percent(strengths[name])}`;
    });
    return words.join(", ") || "nothing added, the same as the original";
  }

  showModel(has_model) {
    this.model.hidden = !has_model;
    this.model.replaceChildren(element("b", { text: "Model" }), element("span", { class: "qc-rule", text: "no answer yet" }));
  }

  probabilities({ rows, why }) {
    const bar = (label, value) => {
      const known = typeof value === "number";
      const fill = element("span", { class: "qc-fill" });
      fill.style.width = known ? `${100 * value}%` : "0";
      const track = element("span", { class: "qc-bar", "aria-hidden": "true" }, fill);
      return element("div", { class: `qc-share qc-of-${label}` }, element("span", { text: label }), track, element("span", { class: "qc-value", text: known ? value.toFixed(2) : "none" }));
    };
    const blocks = rows.map(({ name, original, copy }) =>
      element("div", { class: "qc-probability" }, element("b", { text: name }), bar("original", original), bar("simulated", copy)),
    );
    this.model.replaceChildren(element("b", { text: "Model" }), why ? element("span", { class: "qc-failed", text: why }) : element("span", { class: "qc-rule", text: "probability of each" }), ...blocks);
  }
}

class WhatIfPage {
  constructor(model, root) {
    this.root = root;
    this.transport = new Transport(model, { onMessage: (content, buffers) => this.onMessage(content, buffers), onChange: () => this.showStatus() });
    this.view = new WhatIfView(root, { draw: () => this.anotherDraw(), reset: () => this.reset() });
    this.seed = 0;
    this.newest = 0; // the number of the newest setting; older answers are not shown
    this.answered = -1;
    this.words = "";
  }

  start() {
    this.transport.start();
    this.askAgain();
    this.timer = setInterval(() => this.askAgain(), 1000);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.soon);
    this.transport.stop();
  }

  /** A message may be lost: what was asked for and did not come is asked for again. */
  askAgain() {
    if (this.problem) return;
    if (!this.view.byName) return this.transport.post({ kind: "hello" });
    if (!this.isWaiting() || performance.now() - this.askedAt < ASK_AGAIN_MS) return;
    if (this.newest > 0) return this.ask();
    this.askedAt = performance.now();
    this.transport.post({ kind: "hello" });
  }

  isWaiting() {
    return this.answered < this.newest;
  }

  // What is asked for

  changed() {
    // From the clock, so that the numbers of a page that was loaded again go on; two pages agree on the newest.
    this.newest = Math.max(Date.now(), this.newest + 1);
    this.words = "";
    this.askedAt = performance.now();
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.ask(), ASK_AFTER_MS);
    this.showStatus();
  }

  ask() {
    const chosen = Array.from(this.view.byName.values(), (control) => [control.artefact, control.strength]);
    this.askedAt = performance.now();
    this.transport.post({ kind: "set", number: this.newest, seed: this.seed, strengths: Object.fromEntries(chosen) });
  }

  anotherDraw() {
    this.seed = (this.seed + 1) % 2 ** 31;
    this.changed();
  }

  reset() {
    for (const control of this.view.byName.values()) control.set(control.artefact, 0);
    this.changed();
  }

  // What comes back

  onMessage(content, buffers) {
    const { kind, number } = content;
    if (kind === "problem") this.showProblem(content.why);
    else if (kind === "state" && !this.view.byName) this.begin(content);
    else if (kind === "original") this.showPicture(this.view.original, buffers[0], "the original: sagittal, coronal and axial slice");
    else if (kind === "refused") this.words = content.why;
    else if (number >= this.newest && this.view.byName) this.onAnswer(content, buffers);
  }

  begin({ families, has_model, seed }) {
    this.seed = seed;
    this.askedAt = performance.now();
    this.view.build(families, () => this.changed());
    this.view.showModel(has_model);
  }

  async onAnswer(content, buffers) {
    this.newest = content.number;
    if (content.kind === "probabilities") {
      this.judged = content.number;
      return this.view.probabilities(content);
    }
    if (content.kind === "failed") this.words = content.why;
    else await this.showCopy(content, buffers[0]);
    this.answered = Math.max(this.answered, content.number);
    this.showStatus();
  }

  async showCopy(content, png) {
    await this.showPicture(this.view.copy, png, "simulated: sagittal, coronal and axial slice", () => content.number >= this.newest);
    if (content.number < this.newest) return;
    this.seed = content.seed;
    for (const control of this.view.byName.values()) {
      const artefact = control.family.artefacts.find(({ name }) => name in content.strengths);
      if (artefact) control.set(artefact.name, content.strengths[artefact.name]);
      control.show(content.told[control.family.name]);
    }
    this.view.copy.detail.textContent = `${this.view.added(content.strengths)} · draw ${content.seed}`;
    this.view.tier.textContent = content.tier;
    this.view.rule.textContent = content.rule;
    this.root.dataset.shown = String(content.number);
  }

  /** Put a picture in the place of the last one once it is decoded, so that nothing flickers. */
  async showPicture(figure, png, alt, isWanted = () => true) {
    const image = element("img", { alt, draggable: "false" });
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    image.src = url;
    try {
      await image.decode();
      if (isWanted()) figure.frame.replaceChildren(image);
    } catch {
      this.words = "a picture cannot be decoded; move a slider to ask for another one";
    } finally {
      URL.revokeObjectURL(url); // the element keeps what it has loaded
    }
  }

  showProblem(why) {
    this.problem = why;
    this.view.problem.textContent = why;
    this.view.problem.hidden = false;
    this.view.columns.hidden = true;
  }

  showStatus() {
    if (!this.view) return;
    const { copy, model, note, draw, reset } = this.view;
    const waiting = this.isWaiting();
    copy.busy.hidden = !waiting || Boolean(this.words);
    copy.box.setAttribute("aria-busy", String(waiting));
    this.root.classList.toggle("qc-waiting", waiting);
    model.classList.toggle("qc-outdated", this.judged !== this.newest);
    draw.disabled = reset.disabled = !this.view.byName;
    const words = this.words || (this.transport.status().gone ? "The kernel does not answer: it is busy or gone." : "");
    if (note.textContent !== words) note.textContent = words;
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "qc-whatif", role: "region", "aria-label": "what if: artefacts on a scan" });
    root.dataset.theme = model.get("theme");
    el.replaceChildren(root);
    const page = new WhatIfPage(model, root);
    page.start();
    return () => page.stop();
  },
};
