// What the rater sees: elements only. No message, no decision; `labeller.js` calls these functions.

const KEY_NAMES = { Space: "Space", Enter: "Enter", Backspace: "Backspace", Escape: "Esc", ArrowRight: "→", ArrowLeft: "←" };

// JupyterLab's commands ask the focused element itself: without this, D twice on a button deletes a cell.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** Return the letter printed on a key; `layout` knows what an AZERTY keyboard prints there. */
function keyName(code, layout) {
  if (KEY_NAMES[code]) return KEY_NAMES[code];
  if (code.startsWith("Digit")) return code.slice(5);
  return (layout?.get(code) ?? code.replace(/^Key/, "")).toUpperCase();
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
  constructor(root, actions) {
    this.actions = actions;
    this.root = root;
    this.layout = null;
    this.dialogs = new LabellerDialogs(root);
    this.frame = element("div", { class: "qc-frame" });
    this.banner = element("div", { class: "qc-banner", role: "alert", hidden: true });
    this.note = element("div", { class: "qc-note", role: "status", "aria-live": "polite" });
    this.veil = element("div", { class: "qc-veil", text: "Click here to label: keys go elsewhere now", hidden: true });
    this.stage = element("div", { class: "qc-stage" }, this.frame, this.veil, this.dialogs.box, this.note, this.banner);
    this.strip = element("div", { class: "qc-strip" });
    root.replaceChildren(this.head(), this.stage, this.strip);
  }

  head() {
    this.position = keyButton({ className: "qc-position", onPress: this.actions.askNumber, title: "go to an image by its number" });
    this.bar = element("progress", { class: "qc-progress", max: "1", value: "0", "aria-label": "labelled images" });
    this.progress = element("span", { class: "qc-done" });
    this.pace = element("span", { class: "qc-pace" });
    this.relabelling = element("span", { class: "qc-relabelling", hidden: true });
    this.elsewhere = element("span", { class: "qc-elsewhere", role: "status", "aria-live": "polite" });
    this.aside = keyButton({ className: "qc-plain qc-aside", onPress: this.actions.listAside, hidden: true });
    this.saved = element("span", { class: "qc-saved" });
    this.spoken = element("span", { class: "qc-spoken", role: "status", "aria-live": "polite" });
    this.rater = element("span", { class: "qc-rater" });
    this.help = keyButton({ className: "qc-plain qc-help", onPress: this.actions.help });
    const gap = element("span", { class: "qc-gap" });
    return element(
      "div",
      { class: "qc-head" },
      this.position, this.bar, this.progress, this.pace, this.relabelling, gap, this.elsewhere, this.aside, this.saved, this.spoken, this.rater, this.help,
    );
  }

  /** Build the strip of criteria once, from the protocol. */
  build(protocol, rater, layout) {
    const button = (name, className, onPress, ...children) => keyButton({ key: keyName(codesOf(protocol, name)[0], layout), className, onPress }, ...children);
    this.layout = layout;
    this.rater.textContent = `rater ${rater}`;
    this.help.replaceChildren(element("kbd", { text: keyName(codesOf(protocol, "help_keys")[0], layout) }), "help");
    this.groups = new Map(protocol.criteria.map((criterion) => [criterion.name, this.group(criterion)]));
    this.tier = element("div", { class: "qc-tier" });
    this.rule = element("div", { class: "qc-rule" });
    this.comment = element("input", { class: "qc-comment", type: "text", maxlength: "2000", placeholder: "comment (Tab)", "aria-label": "comment" });
    this.commitWord = element("span");
    this.commitButton = button("commit_keys", "qc-commit", this.actions.commit, this.commitWord);
    this.backButton = button("back_keys", "qc-plain", this.actions.back, "back");
    this.nextButton = keyButton({ key: "→", className: "qc-plain", onPress: this.actions.forward }, "forward");
    this.deferButton = button("defer_keys", "qc-plain", this.actions.defer, "later");
    this.deferButton.title = "put this image off: it comes again after all others";
    const verdict = element("div", { class: "qc-verdict", "aria-live": "polite" }, this.tier, this.rule);
    const acts = element("div", { class: "qc-steps qc-acts-here" }, this.commitButton, this.deferButton);
    const steps = element("div", { class: "qc-steps" }, this.backButton, this.nextButton);
    this.strip.replaceChildren(
      ...Array.from(this.groups.values(), (group) => group.box),
      element("div", { class: "qc-end" }, verdict, this.comment, acts, steps),
    );
  }

  group(criterion) {
    const heading = `qc-${criterion.name}-${Math.random().toString(36).slice(2)}`;
    const state = element("span", { class: "qc-state" });
    const buttons = criterion.choices.map((choice) => ({ button: this.choice(criterion, choice), value: choice.value }));
    const title = element("div", { class: "qc-title", id: heading, title: criterion.help }, element("span", { text: criterion.label }), state);
    const box = element(
      "div",
      { class: criterion.ends_label ? "qc-group qc-ends" : "qc-group", role: "radiogroup", "aria-labelledby": heading, "data-criterion": criterion.name },
      title,
      ...buttons.map((each) => each.button),
      criterion.ends_label ? element("small", { class: "qc-hint", text: "saved at once, no grades" }) : null,
    );
    return { box, state, buttons, criterion };
  }

  choice(criterion, choice) {
    const [word, ...rest] = choice.label.split(": ");
    const text = element("span", { class: "qc-word" }, element("b", { text: criterion.kind === "grade" ? `${choice.value} ` : "" }), word);
    return keyButton(
      {
        key: keyName(choice.key, this.layout), className: "qc-choice", title: choice.label, role: "radio", "aria-checked": "false",
        onPress: () => this.actions.choose(criterion.name, choice.value),
      },
      element("span", { class: "qc-mark", "aria-hidden": "true" }),
      element("span", { class: "qc-words" }, text, rest.length ? element("small", { text: rest.join(": ") }) : null),
    );
  }

  /** Show which answers are set, and where the label that counts now (`before`) says otherwise. */
  answers(answers, ended, before) {
    for (const { box, state, buttons, criterion } of this.groups.values()) {
      const value = answers[criterion.name];
      const earlier = before?.[criterion.name];
      const idle = criterion.ends_label || ended;
      const differs = earlier !== undefined && earlier !== value;
      box.classList.toggle("qc-unset", value === undefined && !idle);
      box.classList.toggle("qc-idle", ended && !criterion.ends_label);
      box.classList.toggle("qc-differs", differs);
      box.classList.remove("qc-missing");
      state.textContent = differs ? `was ${beforeWord(criterion, earlier)}` : value === undefined && !idle ? "not set" : "";
      for (const each of buttons) {
        each.button.setAttribute("aria-checked", String(each.value === value));
        each.button.classList.toggle("qc-before", differs && each.value === earlier);
      }
    }
  }

  missing(names) {
    names.forEach((name) => this.groups.get(name).box.classList.add("qc-missing"));
  }

  verdict(head, words) {
    this.tier.textContent = head;
    this.rule.textContent = words;
  }

  picture(image) {
    this.frame.replaceChildren(image);
  }

  words(...lines) {
    this.frame.replaceChildren(element("div", { class: "qc-words-only" }, ...lines.map((line, number) => element(number ? "p" : "h2", { text: line }))));
  }

  say(text) {
    this.note.textContent = text;
  }
}

/** The earlier answer, short enough to stand beside the name of its criterion. */
function beforeWord(criterion, value) {
  if (criterion.kind === "grade") return String(value);
  return criterion.choices.find((choice) => choice.value === value)?.label.split(": ")[0] ?? String(value);
}
