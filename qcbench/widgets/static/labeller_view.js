// What the rater sees: elements only. No message, no decision; `labeller.js` calls these functions.

const KEY_NAMES = { Space: "Space", Enter: "Enter", Backspace: "Backspace", Escape: "Esc", ArrowRight: "→", ArrowLeft: "←" };
const REASONS = ["wrong key", "looked again", "seen others like it", "rule made clear"];

/** Return the letter printed on a key; `layout` knows what an AZERTY keyboard prints there. */
function keyName(code, layout) {
  if (KEY_NAMES[code]) return KEY_NAMES[code];
  if (code.startsWith("Digit")) return code.slice(5);
  return (layout?.get(code) ?? code.replace(/^Key/, "")).toUpperCase();
}

/** A button that never takes the focus, so that Space still means commit after a click. */
function keyButton({ key, className, onPress, ...attributes }, ...children) {
  return element(
    "button",
    { type: "button", tabindex: "-1", class: className, onmousedown: (event) => event.preventDefault(), onclick: onPress, ...attributes },
    key ? element("kbd", { text: key }) : null,
    ...children,
  );
}

class LabellerView {
  constructor(root, actions) {
    this.actions = actions;
    this.root = root;
    this.layout = null;
    this.position = element("strong", { class: "qc-position" });
    this.bar = element("progress", { class: "qc-progress", max: "1", value: "0", "aria-label": "labelled images" });
    this.relabelling = element("span", { class: "qc-relabelling", hidden: true });
    this.saved = element("span", { class: "qc-saved", role: "status", "aria-live": "polite" });
    this.rater = element("span", { class: "qc-rater" });
    this.frame = element("div", { class: "qc-frame" });
    this.banner = element("div", { class: "qc-banner", role: "alert", hidden: true });
    this.note = element("div", { class: "qc-note", role: "status", "aria-live": "polite" });
    this.veil = element("div", { class: "qc-veil", text: "Click here to label: keys go elsewhere now", hidden: true });
    this.dialog = element("div", { class: "qc-dialog", hidden: true });
    this.stage = element("div", { class: "qc-stage" }, this.frame, this.veil, this.dialog, this.note, this.banner);
    this.strip = element("div", { class: "qc-strip" });
    const help = keyButton({ key: "H", className: "qc-plain", onPress: actions.help }, "help");
    root.replaceChildren(
      element("div", { class: "qc-head" }, this.position, this.bar, this.relabelling, element("span", { class: "qc-gap" }), this.saved, this.rater, help),
      this.stage,
      this.strip,
    );
  }

  /** Build the strip of criteria once, from the protocol. */
  build(protocol, rater, layout) {
    this.layout = layout;
    this.rater.textContent = `rater ${rater}`;
    this.groups = new Map(protocol.criteria.map((criterion) => [criterion.name, this.group(criterion)]));
    this.tier = element("div", { class: "qc-tier" });
    this.rule = element("div", { class: "qc-rule" });
    this.comment = element("input", {
      class: "qc-comment", type: "text", maxlength: "2000", placeholder: "comment (Tab)", "aria-label": "comment",
    });
    this.commitButton = keyButton({ key: keyName(protocol.commit_keys[0], layout), className: "qc-commit", onPress: this.actions.commit });
    this.commitWord = element("span");
    this.commitButton.append(this.commitWord);
    this.backButton = keyButton({ key: keyName(protocol.back_keys[0], layout), className: "qc-plain", onPress: this.actions.back }, "back");
    this.nextButton = keyButton({ key: "→", className: "qc-plain", onPress: this.actions.forward }, "forward");
    const verdict = element("div", { class: "qc-verdict", "aria-live": "polite" }, this.tier, this.rule);
    const steps = element("div", { class: "qc-steps" }, this.backButton, this.nextButton);
    this.strip.replaceChildren(
      ...Array.from(this.groups.values(), (group) => group.box),
      element("div", { class: "qc-end" }, verdict, this.comment, this.commitButton, steps),
    );
  }

  group(criterion) {
    const heading = `qc-${criterion.name}-${Math.random().toString(36).slice(2)}`;
    const state = element("span", { class: "qc-state" });
    const buttons = criterion.choices.map((choice) => {
      const [word, ...rest] = choice.label.split(": ");
      const text = element("span", { class: "qc-word" }, element("b", { text: criterion.kind === "grade" ? `${choice.value} ` : "" }), word);
      const button = keyButton(
        {
          key: keyName(choice.key, this.layout), className: "qc-choice", title: choice.label, role: "radio", "aria-checked": "false",
          onPress: () => this.actions.choose(criterion.name, choice.value),
        },
        element("span", { class: "qc-mark", "aria-hidden": "true" }),
        element("span", { class: "qc-words" }, text, rest.length ? element("small", { text: rest.join(": ") }) : null),
      );
      return { button, value: choice.value };
    });
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

  /** Show which answers are set; an unset criterion says so in words and by a dashed frame. */
  answers(answers, ended) {
    for (const { box, state, buttons, criterion } of this.groups.values()) {
      const value = answers[criterion.name];
      const idle = criterion.ends_label || ended;
      box.classList.toggle("qc-unset", value === undefined && !idle);
      box.classList.toggle("qc-idle", ended && !criterion.ends_label);
      box.classList.remove("qc-missing");
      state.textContent = value === undefined ? (idle ? "" : "not set") : "";
      for (const each of buttons) {
        each.button.setAttribute("aria-checked", String(each.value === value));
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

  /** Ask why a label changes; a digit picks a common reason, anything else is typed. */
  askReason(answer) {
    const input = element("input", { type: "text", maxlength: "200", class: "qc-reason", "aria-label": "reason", placeholder: "or type it, then Enter" });
    const close = (reason) => {
      this.dialog.hidden = true;
      this.dialog.replaceChildren();
      this.root.focus({ preventScroll: true });
      if (reason) answer(reason);
    };
    input.addEventListener("keydown", (event) => {
      const picked = input.value === "" && /^Digit[1-4]$/.test(event.code) ? REASONS[Number(event.code.slice(5)) - 1] : null;
      if (picked) event.preventDefault();
      if (picked) close(picked);
      else if (event.key === "Enter" && input.value.trim()) close(input.value.trim());
      else if (event.key === "Escape") close(null);
      event.stopPropagation();
    });
    this.dialog.replaceChildren(
      element("strong", { text: "Why the change?" }),
      ...REASONS.map((reason, number) => keyButton({ key: String(number + 1), className: "qc-plain", onPress: () => close(reason) }, reason)),
      input,
      keyButton({ key: "Esc", className: "qc-plain", onPress: () => close(null) }, "do not change it"),
    );
    this.dialog.hidden = false;
    input.focus();
  }

  /** Show the help of every criterion over the picture, or hide it. */
  toggleHelp(protocol) {
    if (!this.dialog.hidden) return void (this.dialog.hidden = true);
    const rows = protocol.criteria.flatMap((criterion) => [
      element("dt", { text: criterion.label }),
      element("dd", { text: criterion.help }),
      ...criterion.choices.filter((choice) => choice.label.includes(": ")).map((choice) => element("dd", { class: "qc-dim", text: `${keyName(choice.key, this.layout)}: ${choice.value} ${choice.label}` })),
    ]);
    this.dialog.replaceChildren(element("dl", {}, ...rows));
    this.dialog.hidden = false;
  }
}
