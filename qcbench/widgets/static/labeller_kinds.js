// One criterion on the page: a box with its title, and the elements that give and show its kind of answer.

/** Return the box for a criterion. `choose`, `note` and `step` are the page's, each with the criterion's name first. */
function criterionBox(criterion, layout, actions) {
  const Box = { flags: FlagsBox, level: LevelBox, text: TextBox }[criterion.kind] ?? ChoiceBox;
  return new Box(criterion, layout, actions);
}

class CriterionBox {
  constructor(criterion, layout, { choose, note, step }) {
    this.criterion = criterion;
    this.layout = layout;
    this.choose = (value) => choose(criterion.name, value);
    this.note = (value) => note(criterion.name, value);
    this.step = (steps) => step(criterion.name, steps);
    this.buttons = [];
    this.state = element("span", { class: "qc-state" });
    this.heading = `qc-${criterion.name}-${Math.random().toString(36).slice(2)}`;
    this.title = element("div", { class: "qc-title", id: this.heading, title: criterion.help }, element("span", { text: criterion.label }), this.state);
  }

  make(role, className, ...children) {
    this.box = element("div", { class: `qc-group ${className}`.trim(), role, "aria-labelledby": this.heading, "data-criterion": this.criterion.name }, this.title, ...children);
  }

  choices(role) {
    this.buttons = this.criterion.choices.map((choice) => ({ button: this.choice(choice, role), value: choice.value }));
    return this.buttons.map(({ button }) => button);
  }

  choice({ key, label, value }, role) {
    const [word, rest] = wordAndRest(label);
    const text = element("span", { class: "qc-word" }, element("b", { text: this.criterion.kind === "grade" ? `${value} ` : "" }), word);
    return keyButton(
      { key: keyName(key, this.layout), className: "qc-choice", title: label, role, "aria-checked": "false", onPress: () => this.choose(value) },
      element("span", { class: "qc-mark", "aria-hidden": "true" }),
      element("span", { class: "qc-words" }, text, rest ? element("small", { text: rest }) : null),
    );
  }

  /** Show the answer, whether it is missing or not asked, and where the label that counts now says otherwise. */
  show({ value, earlier, differs, isAsked, isIdle }) {
    const { criterion, box, state } = this;
    const isMissing = value === undefined && criterion.required && !criterion.ends_label && !isIdle;
    box.classList.toggle("qc-unset", isMissing);
    box.classList.toggle("qc-idle", isIdle && !criterion.ends_label);
    box.classList.toggle("qc-differs", differs);
    box.classList.remove("qc-missing");
    state.textContent = differs ? t("was {answer}", { answer: this.beforeWord(earlier) }) : isAsked ? this.stateWord({ value, isMissing, isIdle }) : t("not asked");
    for (const { button, value: each } of this.buttons) {
      button.setAttribute("aria-checked", String(holds(value, each)));
      button.setAttribute("aria-disabled", String(!isAsked));
      button.classList.toggle("qc-before", differs && holds(earlier, each) && !holds(value, each));
    }
    this.showValue(value, isAsked);
  }

  showValue() {}

  stateWord({ isMissing }) {
    return isMissing ? t("not set") : "";
  }

  /** The earlier answer, short enough to stand beside the name of its criterion. */
  beforeWord(earlier) {
    if (earlier === undefined) return t("unset");
    return this.criterion.kind === "grade" ? String(earlier) : wordsOf(this.criterion, earlier);
  }
}

function holds(answer, value) {
  return Array.isArray(answer) ? answer.includes(value) : answer === value;
}

/** Yes or no, or one of some grades. */
class ChoiceBox extends CriterionBox {
  constructor(...given) {
    super(...given);
    const hint = this.criterion.ends_label ? element("small", { class: "qc-hint", text: t("saved at once, no grades") }) : null;
    this.make("radiogroup", this.criterion.ends_label ? "qc-ends" : "", ...this.choices("radio"), hint);
  }
}

/** Any of some flags. */
class FlagsBox extends CriterionBox {
  constructor(...given) {
    super(...given);
    const width = this.criterion.choices.length > 4 ? "qc-many-flags" : "";
    this.make("group", width, element("div", { class: "qc-flags" }, ...this.choices("checkbox")));
  }

  stateWord({ value, isMissing, isIdle }) {
    if (isMissing || isIdle) return super.stateWord({ isMissing });
    return value ? t("{n} noted", { n: value.length }) : t("none");
  }

  beforeWord(earlier) {
    if (!earlier) return t("none");
    return earlier.length === 1 ? wordsOf(this.criterion, earlier) : t("{n} of them", { n: earlier.length });
  }
}

/** A number on a scale: by steps, by its named values, and by a slider for the mouse, which no key needs. */
class LevelBox extends CriterionBox {
  constructor(...given) {
    super(...given);
    const { minimum, maximum, step, keys, label } = this.criterion;
    const stepper = (number, sign, does, by) => {
      const key = keys[number] && keyName(keys[number], this.layout);
      return keyButton({ key, className: "qc-step", title: by, "aria-label": does, onPress: () => this.step(2 * number - 1) }, sign);
    };
    const size = { step: numeral(String(step)) };
    this.ends = { minimum: numeral(String(minimum)), maximum: numeral(String(maximum)) };
    this.number = element("strong", { class: "qc-level" });
    this.band = element("span", { class: "qc-band" });
    const middle = element("div", { class: "qc-level-words", "aria-live": "polite" }, this.number, this.band);
    const row = element("div", { class: "qc-level-row" }, stepper(0, "−", t("lower"), t("lower by {step}", size)), middle, stepper(1, "+", t("raise"), t("raise by {step}", size)));
    this.slider = element("input", { ...OWN_KEYS, class: "qc-slider", type: "range", min: minimum, max: maximum, step, tabindex: "-1", "aria-label": label });
    for (const event of ["input", "click"]) this.slider.addEventListener(event, () => this.slide());
    // Keys are the page's whatever the mouse does; the drag goes on without the focus.
    this.slider.addEventListener("focus", () => this.box.closest(".qc-labeller").focus({ preventScroll: true }));
    const named = element("div", { class: "qc-levels", role: "radiogroup", "aria-labelledby": this.heading }, ...this.choices("radio"));
    this.make("group", "qc-of-level", row, this.slider, this.buttons.length ? named : null);
  }

  /** A click in the middle of an unset slider is an answer too, though the slider does not move. */
  slide() {
    const value = onStep(this.criterion, Number(this.slider.value));
    if (value !== this.value) this.note(value);
    this.showValue(this.value, !this.slider.disabled); // it goes back when keys do not count yet
  }

  showValue(value, isAsked) {
    const { criterion, slider } = this;
    const band = bandOf(criterion, value);
    this.value = value;
    this.number.textContent = value === undefined ? "–" : numeral(levelText(criterion, value));
    this.band.textContent = value === undefined ? t("{minimum} to {maximum}", this.ends) : band;
    slider.disabled = !isAsked;
    slider.value = value ?? (criterion.minimum + criterion.maximum) / 2;
    slider.classList.toggle("qc-untouched", value === undefined);
    slider.setAttribute("aria-valuetext", value === undefined ? t("not set") : `${numeral(levelText(criterion, value))} ${band}`.trim());
    slider.style.setProperty("--share", value === undefined ? 0 : (value - criterion.minimum) / (criterion.maximum - criterion.minimum));
  }

  beforeWord(earlier) {
    return earlier === undefined ? t("unset") : numeral(levelText(this.criterion, earlier));
  }
}

/** One line of words. Keys typed there do nothing else; Enter and Esc leave it. */
class TextBox extends CriterionBox {
  constructor(...given) {
    super(...given);
    const { label, longest, required } = this.criterion;
    const placeholder = required ? t("to be written (Tab)") : t("may stay empty (Tab)");
    this.input = element("input", { class: "qc-text", type: "text", autocomplete: "off", placeholder, "aria-label": label, title: t("at most {longest} characters", { longest }) });
    this.input.addEventListener("input", (event) => event.isComposing || this.note(this.input.value));
    this.input.addEventListener("compositionend", () => this.note(this.input.value));
    this.make("group", "qc-of-text", this.input);
  }

  /** What is being typed is left alone: a blank at its end is no other answer. */
  showValue(value, isAsked) {
    this.input.disabled = !isAsked;
    if (this.input.value.trim() !== (value ?? "")) this.input.value = value ?? "";
  }

  beforeWord(earlier) {
    return earlier === undefined ? t("empty") : quoted(earlier.length > 16 ? `${earlier.slice(0, 15)}…` : earlier);
  }
}
