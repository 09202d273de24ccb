// The small dialogs over the picture: why a label changes, which image to go to, what was set aside, help.

class LabellerDialogs {
  constructor(root) {
    this.root = root;
    this.box = element("div", { class: "qc-dialog", role: "dialog", hidden: true });
  }

  get isOpen() {
    return !this.box.hidden;
  }

  open(name, ...children) {
    this.box.setAttribute("aria-label", name);
    this.box.replaceChildren(...children);
    this.box.hidden = false;
  }

  close() {
    if (!this.isOpen) return;
    const hadFocus = this.box.contains(document.activeElement);
    this.box.hidden = true;
    this.box.replaceChildren();
    if (hadFocus) this.root.focus({ preventScroll: true });
  }

  /** A text field whose keys stay in it: Enter gives its text, Esc closes the dialog. */
  field({ onEnter, onKey, ...attributes }) {
    const input = element("input", { type: "text", autocomplete: "off", ...attributes });
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (onKey?.(event, input)) event.preventDefault();
      else if (event.key === "Escape") this.close();
      else if (event.key === "Enter" && input.value.trim()) onEnter(input.value.trim());
    });
    return input;
  }

  /** Ask why a label changes; a digit picks a common reason, anything else is typed. */
  askReason(reasons, answer) {
    const give = (reason) => {
      this.close();
      answer(reason);
    };
    const pick = (event, input) => {
      const reason = input.value === "" && reasons[Number(/^Digit(\d)$/.exec(event.code)?.[1]) - 1];
      if (reason) give(reason);
      return reason;
    };
    const input = this.field({ onEnter: give, onKey: pick, maxlength: "200", class: "qc-reason", "aria-label": t("reason"), placeholder: t("or type it, then Enter") });
    this.open(
      t("Why the change?"),
      element("strong", { text: t("Why the change?") }),
      ...reasons.map((reason, number) => keyButton({ key: String(number + 1), className: "qc-plain", onPress: () => give(reason) }, reason)),
      input,
      keyButton({ key: keyName("Escape"), className: "qc-plain", onPress: () => this.close() }, t("do not change it")),
    );
    input.focus();
  }

  /** Ask for the number of an image, counted from 1. */
  askNumber(total, answer) {
    const shown = element("span", { class: "qc-told", role: "status", "aria-live": "polite", text: t("1 to {total}", { total }) });
    const go = (text) => {
      const number = /^\d+$/.test(text) ? Number(text) : 0;
      if (number < 1 || number > total) return void (shown.textContent = t("There are images 1 to {total}.", { total }));
      this.close();
      answer(number - 1);
    };
    const input = this.field({ onEnter: go, class: "qc-number", inputmode: "numeric", maxlength: "7", "aria-label": t("number of the image") });
    this.open(
      t("Go to an image"),
      element("strong", { text: t("Go to image") }),
      input,
      keyButton({ key: keyName("Enter"), className: "qc-plain", onPress: () => go(input.value.trim()) }, t("go")),
      keyButton({ key: keyName("Escape"), className: "qc-plain", onPress: () => this.close() }, t("stay here")),
      shown,
    );
    input.focus();
  }

  /** List the labels that could not be saved: what was noted, why it was refused, and what can be done. */
  listAside(entries, { sendAgain, throwAway }) {
    const rows = entries.flatMap(({ event_id, when, noted, why }) => [
      element("dt", { text: when }),
      element("dd", {}, noted, element("div", { class: "qc-dim", text: t("not saved: {why}", { why: told(why) }) })),
      element(
        "dd",
        { class: "qc-acts" },
        keyButton({ className: "qc-plain", onPress: () => sendAgain(event_id) }, t("try again")),
        keyButton({ className: "qc-plain", onPress: () => throwAway(event_id) }, t("throw away")),
      ),
    ]);
    const title = rows.length ? t("Set aside: these labels are kept in this browser, and are not saved") : t("Nothing is set aside");
    this.open(t("Labels set aside"), element("strong", { text: title }), element("dl", { class: "qc-aside-list" }, ...rows));
  }

  /** Show the help of every criterion over the picture, or hide it. */
  toggleHelp(protocol, layout, seeing) {
    if (this.isOpen) return this.close();
    const rows = protocol.criteria.flatMap((criterion) => [
      element("dt", { text: criterion.label }),
      element("dd", { text: criterion.help }),
      ...criterion.keys.map((code, number) => element("dd", { class: "qc-dim" }, element("kbd", { text: keyName(code, layout) }), ` ${this.stepWords(criterion, number)}`)),
      ...criterion.choices.filter((choice) => wordAndRest(choice.label)[1]).map((choice) => element("dd", { class: "qc-dim", text: this.choiceWords(criterion, choice, layout) })),
    ]);
    const ways = seeing.ways().map(([code, words]) => element("dd", { class: "qc-dim" }, element("kbd", { text: keyName(code, layout) }), ` ${words}`));
    const mouse = t("Off for every new image, and noted with the label. Mouse: the wheel zooms, dragging moves, Shift and dragging sets the window.");
    this.open(t("Help"), element("dl", {}, ...rows, element("dt", { text: t("Seeing better") }), element("dd", { text: mouse }), ...ways));
  }

  choiceWords({ kind }, { key, value, label }, layout) {
    return t("{key}: {choice}", { key: keyName(key, layout), choice: kind === "grade" ? `${value} ${label}` : label });
  }

  stepWords({ step }, number) {
    const by = { step: numeral(String(step)) };
    return number ? t("raises it by {step}", by) : t("lowers it by {step}", by);
  }
}
