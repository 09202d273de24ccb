// Keys and focus: which key does what, and that no key counts which was meant for something else.

/** The keys that a protocol file of an older study may not name. */
const USUAL_KEYS = { defer_keys: ["KeyF"], goto_keys: ["KeyJ"], help_keys: ["KeyH"] };

/** The codes (KeyboardEvent.code) of an action, as the protocol gives them. */
function codesOf(protocol, name) {
  return protocol[name] ?? USUAL_KEYS[name];
}

/**
 * Listens at the root of the labeller. `actions` are functions by name; `choose` gets a criterion and a value.
 * Keys are physical positions, so that an AZERTY keyboard has them in the same place.
 */
class LabellerKeys {
  constructor(root, view, actions) {
    this.root = root;
    this.view = view;
    this.actions = actions;
    this.byCode = new Map();
  }

  listen(signal, fillsPage) {
    const on = (target, name, handler) => target.addEventListener(name, handler, { signal });
    on(this.root, "keydown", (event) => this.onKey(event));
    on(this.root, "mousedown", (event) => this.onMouseDown(event));
    if (!fillsPage) on(this.root, "click", () => this.root.scrollIntoView({ block: "nearest" }));
    on(window, "keyup", (event) => this.exemplarCodes?.includes(event.code) && this.actions.releaseExemplars());
    on(window, "keyup", (event) => event.code === this.view.seeing.codes?.loupe && this.view.seeing.holdLoupe(false));
    on(window, "blur", () => this.actions.releaseExemplars()); // the key may come up elsewhere
    on(window, "blur", () => this.view.seeing.holdLoupe(false));
    for (const name of ["focus", "blur"]) on(window, name, () => this.showFocus());
    for (const name of ["focusin", "focusout"]) on(this.root, name, () => setTimeout(() => this.showFocus()));
    if (fillsPage) this.takeFocus(signal);
    this.showFocus();
  }

  /** The page is rendered before it is put into the document, and only then can it have the focus. */
  takeFocus(signal) {
    if (this.root.isConnected) this.root.focus({ preventScroll: true });
    else if (!signal.aborted) requestAnimationFrame(() => this.takeFocus(signal));
  }

  learn(protocol) {
    const { back, forward, commit, defer, askNumber, help, choose, step, holdExemplars, turnExemplars } = this.actions;
    const { seeing } = this.view;
    const turnOr = (by, otherwise) => () => {
      if (this.view.exemplars.isOpen) turnExemplars(by);
      else if (seeing.volume.isOpen) seeing.turn(by);
      else otherwise();
    };
    this.byCode = new Map([["ArrowLeft", turnOr(-1, back)], ["ArrowRight", turnOr(1, forward)]]);
    const named = { commit_keys: commit, back_keys: back, defer_keys: defer, goto_keys: askNumber, help_keys: help };
    for (const [name, action] of Object.entries(named)) codesOf(protocol, name).forEach((code) => this.byCode.set(code, action));
    for (const criterion of protocol.criteria) {
      for (const choice of criterion.choices) this.byCode.set(choice.key, () => choose(criterion.name, choice.value));
      criterion.keys.forEach((code, number) => this.byCode.set(code, () => step(criterion.name, 2 * number - 1)));
    }
    this.stepCodes = protocol.criteria.flatMap((criterion) => criterion.keys);
    this.exemplarCodes = exemplarCodes(protocol);
    this.exemplarCodes.forEach((code) => this.byCode.set(code, holdExemplars));
    this.helpCodes = codesOf(protocol, "help_keys");
    for (const [code, action] of seeing.learn((code) => !this.byCode.has(code), this.view.layout)) this.byCode.set(code, action);
    this.byCode.set("PageUp", () => seeing.volume.isOpen && seeing.scroll(10)).set("PageDown", () => seeing.volume.isOpen && seeing.scroll(-10));
    for (const input of this.view.strip.querySelectorAll("input[type=text]")) input.addEventListener("keydown", (event) => this.onTextKey(event));
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target instanceof HTMLInputElement && event.target.type !== "range") return;
    const action = event.code === "Escape" ? this.escape() : this.byCode.get(event.code);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && ![...this.stepCodes, ...this.view.seeing.repeating].includes(event.code)) return; // a step's key may be held
    if (!this.helpCodes.includes(event.code)) this.view.dialogs.close();
    action(event);
  }

  /** What Esc leaves: a dialog or the examples, else another view than everybody's. */
  escape() {
    if (this.view.dialogs.isOpen || this.view.exemplars.isOpen) return this.actions.hideExemplars;
    return this.view.seeing.isPlain ? undefined : () => this.view.seeing.rest();
  }

  onTextKey(event) {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.root.focus({ preventScroll: true });
  }

  onMouseDown(event) {
    if (event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    this.root.focus({ preventScroll: true });
  }

  showFocus() {
    const ours = document.hasFocus() && this.root.contains(document.activeElement);
    this.root.classList.toggle("qc-focused", ours);
    this.view.veil.hidden = ours;
  }
}
