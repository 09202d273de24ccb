// The labeller's logic: keys, painted pictures, moving on at once while the kernel confirms.
// The kernel decides what is accepted (annotate/session.py); this page only asks and shows.

const MOST_UNCONFIRMED = 2;

class LabellerPage {
  constructor(model, root) {
    this.root = root;
    this.fillsPage = model.get("fills_page");
    this.transport = new Transport(model, {
      onMessage: (content, buffers) => this.onMessage(content, buffers),
      onChange: () => this.showStatus(),
    });
    this.view = new LabellerView(root, {
      choose: (name, value) => this.choose(name, value),
      commit: () => this.commit(),
      back: () => this.back(),
      forward: () => this.forward(),
      help: () => this.protocol && this.view.toggleHelp(this.protocol),
    });
    this.pictures = new Pictures({
      post: (content) => this.transport.post(content),
      onDecoded: (position) => position === this.position && this.show(),
    });
    this.drafts = new Map(); // position -> {answers, comment} that were left without commit
    this.sent = new Map(); // event_id -> {position, answers, comment}
    this.position = 0;
    this.frontier = 0; // the first image without a label
    this.answers = {};
    this.painted = false;
    this.held = null; // the position whose commit waits for earlier labels
    this.events = new AbortController();
  }

  start() {
    const on = (target, name, handler) => target.addEventListener(name, handler, { signal: this.events.signal });
    on(this.root, "keydown", (event) => this.onKey(event));
    on(this.root, "mousedown", (event) => this.onMouseDown(event));
    if (!this.fillsPage) on(this.root, "click", () => this.root.scrollIntoView({ block: "nearest" }));
    for (const name of ["focus", "blur"]) on(window, name, () => this.showFocus());
    for (const name of ["focusin", "focusout"]) on(this.root, name, () => setTimeout(() => this.showFocus()));
    this.transport.start();
    this.view.words("Loading the queue");
    this.askAgain();
    this.timer = setInterval(() => this.askAgain(), 1000);
    if (this.fillsPage) this.takeFocus();
    this.showFocus();
  }

  /** The page is rendered before it is put into the document, and only then can it have the focus. */
  takeFocus() {
    if (this.root.isConnected) this.root.focus({ preventScroll: true });
    else if (!this.events.signal.aborted) requestAnimationFrame(() => this.takeFocus());
  }

  stop() {
    clearInterval(this.timer);
    this.events.abort();
    this.transport.stop();
  }

  askAgain() {
    if (this.protocol) this.pictures.askAgain();
    else if (!this.problem) this.transport.post({ kind: "hello" });
  }

  onMessage(content, buffers) {
    if (content.kind === "problem") {
      this.problem = content.why;
      this.root.classList.add("qc-problem");
      this.view.words("Nothing can be labelled here", content.why);
    } else if (content.kind === "state" && !this.protocol) this.begin(content);
    else if (content.kind === "image") this.pictures.receive(content, buffers);
    else if (content.kind === "summary") this.showSummary(content.counts);
  }

  async begin(state) {
    this.protocol = state.protocol;
    this.state = state;
    const layout = navigator.keyboard?.getLayoutMap?.().catch(() => null);
    const printed = await Promise.race([layout, new Promise((resolve) => setTimeout(resolve, 300))]);
    this.view.build(state.protocol, state.rater, printed);
    this.view.comment.addEventListener("keydown", (event) => this.onCommentKey(event));
    this.keys = this.keyTable();
    this.frontier = state.cursor;
    this.pictures.begin(state);
    this.go(state.cursor);
  }

  keyTable() {
    const keys = new Map([["KeyH", () => this.view.toggleHelp(this.protocol)], ["ArrowLeft", () => this.back()], ["ArrowRight", () => this.forward()]]);
    this.protocol.commit_keys.forEach((code) => keys.set(code, () => this.commit()));
    this.protocol.back_keys.forEach((code) => keys.set(code, () => this.back()));
    for (const criterion of this.protocol.criteria) {
      for (const choice of criterion.choices) keys.set(choice.key, () => this.choose(criterion.name, choice.value));
    }
    return keys;
  }

  // Which image

  /** Leave the image on the screen for another; what was chosen without commit is kept. */
  go(position) {
    this.keepDraft();
    this.position = position;
    this.painted = false;
    this.held = null;
    delete this.root.dataset.painted;
    this.view.say("");
    this.pictures.around(this.position);
    this.show();
  }

  keepDraft() {
    const image = this.pictures.get(this.position);
    if (!this.painted || !image || this.unchanged(image)) return void this.drafts.delete(this.position);
    this.drafts.set(this.position, { answers: this.answers, comment: this.view.comment.value });
  }

  async show() {
    const { position } = this;
    const image = this.pictures.get(position);
    const noted = this.drafts.get(position) ?? image?.label ?? { answers: {}, comment: "" };
    this.answers = this.graded(noted.answers);
    this.view.comment.value = noted.comment;
    this.showAnswers();
    this.showPlace(image);
    if (position === this.state.total) return this.end();
    if (!image) return this.view.words("Loading the picture");
    if (image.error) return this.view.words(`Image ${position + 1} cannot be shown`, image.error, "Commit goes on to the next one; nothing is noted.");
    this.view.picture(image.img);
    await image.img.decode().catch(() => {});
    await twoFrames();
    if (this.position !== position || this.pictures.get(position) !== image || this.painted) return;
    this.painted = true;
    this.paintedAt = performance.now();
    this.transport.post({ kind: "painted", key: image.key });
    this.root.dataset.painted = String(position); // keys count for this image from here on
  }

  end() {
    this.view.words(`All ${this.state.total} images are behind you`, "Counting what was noted");
    this.transport.post({ kind: "summary" });
  }

  // Answers

  graded(answers) {
    const kept = Object.entries(answers ?? {}).filter(([name, value]) => value !== false || !this.endsLabel(name));
    return Object.fromEntries(kept);
  }

  endsLabel(name) {
    return this.protocol.criteria.some((criterion) => criterion.name === name && criterion.ends_label);
  }

  ended() {
    return Object.keys(this.answers).some((name) => this.endsLabel(name));
  }

  unset() {
    if (this.ended()) return [];
    return this.protocol.criteria.filter((criterion) => !criterion.ends_label && this.answers[criterion.name] === undefined);
  }

  unchanged(image) {
    const earlier = this.graded(image.label?.answers);
    const names = new Set([...Object.keys(earlier), ...Object.keys(this.answers)]);
    const same = [...names].every((name) => earlier[name] === this.answers[name]);
    return same && this.view.comment.value.trim() === (image.label?.comment ?? "");
  }

  choose(name, value) {
    if (this.position === this.state.total) return;
    if (!this.painted) return this.view.say("Not yet: the picture is not on the screen.");
    this.held = null;
    this.view.say("");
    if (this.endsLabel(name)) {
      this.answers = { [name]: value };
      this.showAnswers();
      return this.commit();
    }
    this.answers = Object.fromEntries(Object.entries(this.answers).filter(([other]) => !this.endsLabel(other)));
    this.answers[name] = value;
    this.showAnswers();
  }

  commit() {
    const image = this.pictures.get(this.position);
    const status = this.transport.status();
    if (this.position === this.state.total) return;
    if (image?.error) return this.skip();
    if (!this.painted) return this.view.say("Not yet: the picture is not on the screen.");
    if (image.label && this.unchanged(image)) return this.forward();
    const unset = this.unset();
    if (unset.length) {
      this.view.missing(unset.map((criterion) => criterion.name));
      return this.view.say(`Not committed. Not set: ${unset.map((criterion) => criterion.label.toLowerCase()).join(", ")}.`);
    }
    if (status.refused) return this.view.say("Not committed. Look first at the label that was not saved (red).");
    if (status.waiting >= MOST_UNCONFIRMED) {
      this.held = this.position;
      return this.view.say(`Wait: ${status.waiting} labels are not saved yet. This one follows them.`);
    }
    if (image.label) this.view.askReason((reason) => this.send(image, reason));
    else this.send(image, "");
  }

  /** A commit that had to wait for earlier labels is carried out once they are saved. */
  commitHeld() {
    this.held = null;
    this.view.say("");
    this.commit();
  }

  send(image, reason) {
    const event_id = newEventId();
    const { answers, position } = this;
    const comment = this.view.comment.value.trim();
    const label = {
      kind: "label", event_id, key: image.key, replaces: image.label?.event_id ?? null, answers, comment, reason,
      seconds: (performance.now() - this.paintedAt) / 1000,
      display: {
        css_width: image.img.clientWidth, css_height: image.img.clientHeight,
        natural_width: image.img.naturalWidth, natural_height: image.img.naturalHeight, device_pixel_ratio: window.devicePixelRatio,
      },
    };
    this.sent.set(event_id, { position, answers, comment });
    image.label = { event_id, answers, comment, saved_at: new Date().toISOString(), n_revisions: image.label ? image.label.n_revisions + 1 : 0 };
    this.transport.commit(event_id, [{ kind: "painted", key: image.key }, label]);
    this.frontier = Math.max(this.frontier, position + 1);
    this.go(this.frontier);
  }

  // Moving

  back() {
    const refused = this.transport.takeRefused();
    if (refused) return this.noteAgain(refused.event_id);
    if (this.position > 0) this.go(this.position - 1);
  }

  forward() {
    if (this.position < this.frontier) this.go(this.position + 1);
  }

  skip() {
    this.frontier = Math.max(this.frontier, this.position + 1);
    this.go(this.position + 1);
  }

  /** The kernel will not take this label: show the image afresh, with what was chosen. */
  noteAgain(event_id) {
    const { position, answers, comment } = this.sent.get(event_id);
    this.keepDraft();
    this.pictures.forget(position);
    this.painted = false;
    this.drafts.set(position, { answers, comment });
    this.position = position;
    this.pictures.around(this.position);
    this.show();
  }

  // Keys and focus

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target instanceof HTMLInputElement) return;
    const action = this.keys?.get(event.code);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    if (!this.view.dialog.hidden && event.code !== "KeyH") this.view.dialog.hidden = true;
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

  // What is shown

  showAnswers() {
    if (this.position === this.state.total) this.view.verdict("", "");
    else this.view.verdict(...this.verdict());
    this.view.answers(this.answers, this.ended());
  }

  verdict() {
    if (this.ended()) return ["Straight reject", "no grades, no tier"];
    const unset = this.protocol.tier_criteria.filter((name) => this.answers[name] === undefined);
    if (unset.length) return ["Tier –", `not set: ${this.unset().map((criterion) => criterion.label.toLowerCase()).join(", ")}`];
    const worst = Math.max(...this.protocol.tier_criteria.map((name) => this.answers[name]));
    const rule = this.protocol.tier_rules.find((each) => worst >= each.when_any_at_least);
    return [`Tier ${rule.tier}`, rule.wording];
  }

  showPlace(image) {
    const { total } = this.state;
    const { view } = this;
    const label = image?.label;
    this.root.classList.toggle("qc-at-end", this.position === total);
    view.position.textContent = this.position < total ? `${this.position + 1} of ${total}` : `${total} of ${total}`;
    view.bar.value = total ? this.frontier / total : 0;
    view.bar.title = `${this.frontier} of ${total} behind you`;
    this.root.classList.toggle("qc-again", Boolean(label));
    view.relabelling.hidden = !label;
    if (label) {
      const times = label.n_revisions ? `, changed ${label.n_revisions}×` : "";
      view.relabelling.textContent = `↺ labelled ${new Date(label.saved_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}${times}. A change keeps both versions.`;
    }
    view.commitWord.textContent = label ? "change or go on" : "commit";
    view.backButton.disabled = this.position === 0;
    view.nextButton.disabled = this.position >= this.frontier;
  }

  showStatus() {
    const { waiting, refused, late, gone } = this.transport.status();
    const trouble = refused || late || gone;
    const { saved, banner } = this.view;
    const words = trouble ? (waiting || refused ? "✕ NOT SAVED" : "✕ not connected") : waiting ? `… ${waiting} not saved yet` : "✓ all saved";
    if (saved.textContent !== words) saved.textContent = words;
    saved.classList.toggle("qc-trouble", Boolean(trouble));
    const message = this.troubleWords({ waiting, refused, late, gone });
    banner.hidden = !message;
    if (banner.textContent !== message) banner.textContent = message;
    if (this.position === this.state?.total && this.waitedFor && !waiting) this.transport.post({ kind: "summary" });
    this.waitedFor = waiting;
    if (this.held !== null && waiting < MOST_UNCONFIRMED && !refused) this.commitHeld();
  }

  troubleWords({ waiting, refused, late, gone }) {
    const back = this.protocol ? keyName(this.protocol.back_keys[0]) : "";
    if (refused) return `NOT SAVED: image ${this.sent.get(refused.event_id).position + 1}: ${refused.why}. Press ${back} (back) to note it again.`;
    const labels = waiting === 1 ? "1 label is" : `${waiting} labels are`;
    if (waiting && (late || gone)) return `NOT SAVED: ${late || "the kernel does not answer"}. ${labels} kept here and sent again. Do not close this page.`;
    if (gone) return "Not connected: the kernel does not answer. What was saved is safe; if this stays, load the page again.";
    return "";
  }

  showSummary(counts) {
    if (this.position !== this.state.total) return;
    const lines = Object.entries(counts).map(([name, count]) => `${name}: ${count}`);
    const title = counts.waiting ? `The end, with ${counts.waiting} without a label` : `All ${this.state.total} images are labelled`;
    this.view.words(title, ...lines, "Thank you. You may close this page, or go back and look again.");
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "qc-labeller", tabindex: "0", role: "application", "aria-label": "label images", "data-lm-suppress-shortcuts": "true" });
    root.dataset.theme = model.get("theme");
    root.classList.toggle("qc-fills-page", model.get("fills_page"));
    el.replaceChildren(root);
    const page = new LabellerPage(model, root);
    page.start();
    return () => page.stop();
  },
};
