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
    const { back, forward, commit, defer, askNumber, help, choose } = this.actions;
    this.byCode = new Map([["ArrowLeft", back], ["ArrowRight", forward]]);
    const named = { commit_keys: commit, back_keys: back, defer_keys: defer, goto_keys: askNumber, help_keys: help };
    for (const [name, action] of Object.entries(named)) codesOf(protocol, name).forEach((code) => this.byCode.set(code, action));
    for (const criterion of protocol.criteria) {
      for (const choice of criterion.choices) this.byCode.set(choice.key, () => choose(criterion.name, choice.value));
    }
    this.helpCodes = codesOf(protocol, "help_keys");
    this.view.comment.addEventListener("keydown", (event) => this.onCommentKey(event));
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target instanceof HTMLInputElement) return;
    const isEscape = event.code === "Escape" && this.view.dialogs.isOpen;
    const action = isEscape ? () => {} : this.byCode.get(event.code);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    if (!this.helpCodes.includes(event.code)) this.view.dialogs.close();
    action();
  }

  onCommentKey(event) {
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
