// The small dialogs over the picture: why a label changes, which image to go to, what was set aside, help.

const REASONS = ["wrong key", "looked again", "seen others like it", "rule made clear"];

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
  askReason(answer) {
    const give = (reason) => {
      this.close();
      answer(reason);
    };
    const pick = (event, input) => {
      const reason = input.value === "" && REASONS[Number(/^Digit(\d)$/.exec(event.code)?.[1]) - 1];
      if (reason) give(reason);
      return reason;
    };
    const input = this.field({ onEnter: give, onKey: pick, maxlength: "200", class: "qc-reason", "aria-label": "reason", placeholder: "or type it, then Enter" });
    this.open(
      "Why the change?",
      element("strong", { text: "Why the change?" }),
      ...REASONS.map((reason, number) => keyButton({ key: String(number + 1), className: "qc-plain", onPress: () => give(reason) }, reason)),
      input,
      keyButton({ key: "Esc", className: "qc-plain", onPress: () => this.close() }, "do not change it"),
    );
    input.focus();
  }

  /** Ask for the number of an image, counted from 1. */
  askNumber(total, answer) {
    const told = element("span", { class: "qc-told", role: "status", "aria-live": "polite", text: `1 to ${total}` });
    const go = (text) => {
      const number = /^\d+$/.test(text) ? Number(text) : 0;
      if (number < 1 || number > total) return void (told.textContent = `There are images 1 to ${total}.`);
      this.close();
      answer(number - 1);
    };
    const input = this.field({ onEnter: go, class: "qc-number", inputmode: "numeric", maxlength: "7", "aria-label": "number of the image" });
    this.open(
      "Go to an image",
      element("strong", { text: "Go to image" }),
      input,
      keyButton({ key: "Enter", className: "qc-plain", onPress: () => go(input.value.trim()) }, "go"),
      keyButton({ key: "Esc", className: "qc-plain", onPress: () => this.close() }, "stay here"),
      told,
    );
    input.focus();
  }

  /** List the labels that could not be saved: what was noted, why it was refused, and what can be done. */
  listAside(entries, { sendAgain, throwAway }) {
    const rows = entries.flatMap(({ event_id, when, noted, why }) => [
      element("dt", { text: when }),
      element("dd", {}, noted, element("div", { class: "qc-dim", text: `not saved: ${why}` })),
      element(
        "dd",
        { class: "qc-acts" },
        keyButton({ className: "qc-plain", onPress: () => sendAgain(event_id) }, "try again"),
        keyButton({ className: "qc-plain", onPress: () => throwAway(event_id) }, "throw away"),
      ),
    ]);
    const title = rows.length ? "Set aside: these labels are kept in this browser, and are not saved" : "Nothing is set aside";
    this.open("Labels set aside", element("strong", { text: title }), element("dl", { class: "qc-aside-list" }, ...rows));
  }

  /** Show the help of every criterion over the picture, or hide it. */
  toggleHelp(protocol, layout, seeing) {
    if (this.isOpen) return this.close();
    const rows = protocol.criteria.flatMap((criterion) => [
      element("dt", { text: criterion.label }),
      element("dd", { text: criterion.help }),
      ...criterion.keys.map((code, number) => element("dd", { class: "qc-dim" }, element("kbd", { text: keyName(code, layout) }), ` ${number ? "raises" : "lowers"} it by ${criterion.step}`)),
      ...criterion.choices.filter((choice) => choice.label.includes(": ")).map((choice) => element("dd", { class: "qc-dim", text: `${keyName(choice.key, layout)}: ${criterion.kind === "grade" ? `${choice.value} ` : ""}${choice.label}` })),
    ]);
    const ways = seeing.ways().map(([code, words]) => element("dd", { class: "qc-dim" }, element("kbd", { text: keyName(code, layout) }), ` ${words}`));
    this.open("Help", element("dl", {}, ...rows, element("dt", { text: "Seeing better" }), element("dd", { text: "Off for every new image, and noted with the label. Mouse: the wheel zooms, dragging moves, Shift and dragging sets the window." }), ...ways));
  }
}
