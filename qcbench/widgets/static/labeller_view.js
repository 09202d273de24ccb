// What the rater sees: elements only. No message, no decision; `labeller.js` calls these functions.

const ARROWS = { ArrowRight: "→", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓" };
// What an English keyboard prints, where the browser does not say what this one does.
const SIGNS = { Minus: "-", Equal: "=", Comma: ",", Period: ".", Slash: "/", Semicolon: ";", Quote: "'", BracketLeft: "[", BracketRight: "]", Backslash: "\\", Backquote: "`" };

// JupyterLab's commands ask the focused element itself: without this, D twice on a button deletes a cell.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** Return the letter printed on a key; `layout` knows what an AZERTY keyboard prints there. */
function keyName(code, layout) {
  const named = { ...ARROWS, Space: t("Space"), Enter: t("Enter"), Backspace: t("Backspace"), Escape: t("Esc") }[code];
  if (named) return named;
  if (code.startsWith("Digit")) return code.slice(5);
  return (layout?.get(code) ?? SIGNS[code] ?? code.replace(/^Key/, "")).toUpperCase();
}

/** A button that never takes the focus by a click, so that Space still means commit after it. */
function keyButton({ key, className, onPress, ...attributes }, ...children) {
  return element(
    "button",
    { ...OWN_KEYS, type: "button", tabindex: "-1", class: className, onmousedown: (event) => event.preventDefault(), onclick: onPress, ...attributes },
    key ? element("kbd", { text: key }) : null,
    ...children,
  );
}

class LabellerView {
  constructor(root, actions, post) {
    this.actions = actions;
    this.root = root;
    this.layout = null;
    this.dialogs = new LabellerDialogs(root);
    this.exemplars = new ExemplarPanel();
    this.frame = element("div", { class: "qc-frame" });
    this.banner = element("div", { class: "qc-banner", role: "alert", hidden: true });
    this.note = element("div", { class: "qc-note", role: "status", "aria-live": "polite" });
    this.veil = element("div", { class: "qc-veil", text: t("Click here to label: keys go elsewhere now"), hidden: true });
    this.stage = element("div", { class: "qc-stage" }, this.frame, this.exemplars.box, this.veil, this.dialogs.box, this.note, this.banner);
    this.seeing = new Seeing({ stage: this.stage, frame: this.frame, post });
    this.strip = element("div", { class: "qc-strip" });
    root.replaceChildren(this.head(), this.stage, this.strip);
  }

  head() {
    this.position = keyButton({ className: "qc-position", onPress: this.actions.askNumber, title: t("go to an image by its number") });
    this.bar = element("progress", { class: "qc-progress", max: "1", value: "0", "aria-label": t("labelled images") });
    this.progress = element("span", { class: "qc-done" });
    this.pace = element("span", { class: "qc-pace" });
    this.relabelling = element("span", { class: "qc-relabelling", hidden: true });
    this.elsewhere = element("span", { class: "qc-elsewhere", role: "status", "aria-live": "polite" });
    this.aside = keyButton({ className: "qc-plain qc-aside", onPress: this.actions.listAside, hidden: true });
    this.saved = element("span", { class: "qc-saved" });
    this.spoken = element("span", { class: "qc-spoken", role: "status", "aria-live": "polite" });
    this.rater = element("span", { class: "qc-rater" });
    this.examples = keyButton({ className: "qc-plain qc-help", onPress: this.actions.toggleExemplars, title: t("pictures of each grade, while the key is held"), "aria-pressed": "false", hidden: true });
    this.ways = keyButton({ className: "qc-plain qc-help", onPress: () => this.seeing.togglePinned(), title: t("zoom, window, loupe: noted with the label") }, t("view"));
    this.help = keyButton({ className: "qc-plain qc-help", onPress: this.actions.help });
    const gap = element("span", { class: "qc-gap" });
    return element(
      "div",
      { class: "qc-head" },
      this.position, this.bar, this.progress, this.pace, this.relabelling, gap, this.elsewhere, this.aside, this.saved, this.spoken, this.rater, this.ways, this.examples, this.help,
    );
  }

  /** Build the strip of criteria once, from the protocol. */
  build(grading, rater, layout) {
    const { protocol } = grading;
    this.grading = grading;
    const button = (name, className, onPress, ...children) => keyButton({ key: keyName(codesOf(protocol, name)[0], layout), className, onPress }, ...children);
    this.layout = layout;
    this.rater.textContent = t("rater {rater}", { rater });
    this.help.replaceChildren(element("kbd", { text: keyName(codesOf(protocol, "help_keys")[0], layout) }), t("help"));
    this.examples.replaceChildren(...exemplarCodes(protocol).slice(0, 1).map((code) => element("kbd", { text: keyName(code, layout) })), t("examples"));
    this.examples.hidden = !protocol.criteria.some(hasExemplar);
    this.groups = new Map(protocol.criteria.map((criterion) => [criterion.name, criterionBox(criterion, layout, this.actions)]));
    this.tier = element("div", { class: "qc-tier" });
    this.rule = element("div", { class: "qc-rule" });
    this.comment = element("input", { class: "qc-comment", type: "text", maxlength: "2000", placeholder: t("comment (Tab)"), "aria-label": t("comment") });
    this.commitWord = element("span");
    this.commitButton = button("commit_keys", "qc-commit", this.actions.commit, this.commitWord);
    this.backButton = button("back_keys", "qc-plain", this.actions.back, t("back"));
    this.nextButton = keyButton({ key: "→", className: "qc-plain", onPress: this.actions.forward }, t("forward"));
    this.deferButton = button("defer_keys", "qc-plain", this.actions.defer, t("later"));
    this.deferButton.title = t("put this image off: it comes again after all others");
    const verdict = element("div", { class: "qc-verdict", "aria-live": "polite" }, this.tier, this.rule);
    const acts = element("div", { class: "qc-steps qc-acts-here" }, this.commitButton, this.deferButton);
    const steps = element("div", { class: "qc-steps" }, this.backButton, this.nextButton);
    this.strip.classList.toggle("qc-many", protocol.criteria.length > 6);
    this.strip.replaceChildren(
      ...Array.from(this.groups.values(), (group) => group.box),
      element("div", { class: "qc-end" }, verdict, this.comment, acts, steps),
    );
  }

  /** Show which answers are set, and where the label that counts now (`before`) says otherwise. */
  answers(answers, before) {
    const { grading } = this;
    const ended = grading.ended(answers);
    for (const [name, group] of this.groups) {
      const { criterion } = group;
      const value = answers[name];
      const earlier = before?.[name];
      // Of what had to be set, nothing was noted when it was not asked, or the label was ended.
      const wasNoted = earlier !== undefined || (before && !criterion.required && !criterion.ends_label && !grading.ended(before));
      const isAsked = ended || grading.isAsked(criterion, answers);
      group.show({ value, earlier, differs: Boolean(wasNoted) && !isEqual(earlier, value), isAsked, isIdle: ended || !isAsked });
    }
  }

  missing(names) {
    names.forEach((name) => this.groups.get(name).box.classList.add("qc-missing"));
  }

  verdict(head, words) {
    this.tier.textContent = head;
    this.rule.textContent = words;
  }

  picture({ img, ...about }) {
    this.frame.replaceChildren(img);
    this.seeing.show(img, about);
  }

  words(...lines) {
    this.seeing.clear();
    this.frame.replaceChildren(element("div", { class: "qc-words-only" }, ...lines.map((line, number) => element(number ? "p" : "h2", { text: line }))));
  }

  say(text) {
    this.note.textContent = text;
  }
}
