// A joint review: two people, each at their own page. One proposes, the other signs or objects with a word.
// The kernel decides what is accepted (annotate/review_session.py); this page only asks and shows.

const LOOK_EVERY_MS = 2000;

class ReviewPage {
  constructor(model, root) {
    this.root = root;
    this.fillsPage = model.get("fills_page");
    this.transport = new Transport(model, {
      onMessage: (content, buffers) => this.onMessage(content, buffers),
      onChange: () => this.showStatus(),
    });
    const names = ["reject", "keep", "choose", "commit", "object", "back", "forward"];
    this.actions = Object.fromEntries(names.map((name) => [name, (...values) => this.state && this[name](...values)]));
    this.view = new ReviewView(root, this.actions, (content) => this.transport.post(content));
    this.pictures = new Pictures({ post: (content) => this.transport.post(content), onReady: (position) => position === this.position && this.show() });
    this.draft = null; // the answers about to be proposed
    this.sent = new Map(); // event_id -> position
    this.events = new AbortController();
  }

  start() {
    const { signal } = this.events;
    const on = (target, name, handler) => target.addEventListener(name, handler, { signal });
    on(this.root, "keydown", (event) => this.onKey(event));
    on(this.root, "mousedown", (event) => this.onMouseDown(event));
    for (const name of ["focusin", "focusout"]) on(this.root, name, () => setTimeout(() => this.showFocus()));
    for (const name of ["focus", "blur"]) on(window, name, () => this.showFocus());
    on(window, "keyup", (event) => event.code === this.view.seeing.codes?.loupe && this.view.seeing.holdLoupe(false));
    on(window, "blur", () => this.view.seeing.holdLoupe(false));
    this.view.seeing.listen(signal);
    this.transport.start();
    this.view.words(t("Loading the disagreements"));
    this.ask();
    this.timer = setInterval(() => this.ask(), LOOK_EVERY_MS);
    if (this.fillsPage) this.takeFocus(signal);
    this.showFocus();
  }

  /** The page is rendered before it is put into the document, and only then can it have the focus. */
  takeFocus(signal) {
    if (this.root.isConnected) this.root.focus({ preventScroll: true });
    else if (!signal.aborted) requestAnimationFrame(() => this.takeFocus(signal));
  }

  stop() {
    clearInterval(this.timer);
    this.events.abort();
    this.transport.stop();
  }

  /** The other reviewer works at another page: what they did is asked for every two seconds. */
  ask() {
    if (this.state) {
      this.pictures.askAgain();
      this.view.seeing.volume.askAgain();
      this.transport.post({ kind: "look" });
    } else if (!this.problem) this.transport.post({ kind: "hello" });
  }

  onMessage(content, buffers) {
    if (content.kind === "state" && !this.state) this.begin(content);
    else if (content.kind === "image") this.onImage(content, buffers);
    else if (content.kind === "volume" || content.kind === "slice") this.view.seeing.volume.receive(content, buffers).then(() => this.view.seeing.changed());
    else if (content.kind === "reviews" && this.state) this.onReviews(content.reviews);
    else if (content.kind === "problem") {
      this.problem = content.why;
      this.root.classList.add("qc-problem");
      this.view.words(t("Nothing can be reviewed here"), told(content.why));
    }
  }

  async begin(state) {
    this.state = state;
    this.protocol = state.protocol;
    this.grading = new Grading(state.protocol, t);
    this.ends = state.protocol.criteria.find((criterion) => criterion.ends_label);
    this.reviews = state.reviews;
    this.labels = new Map(); // position -> what both raters noted
    const layout = await navigator.keyboard?.getLayoutMap?.().catch(() => null);
    this.view.build(state.protocol, state.reviewer, layout);
    this.view.comment.addEventListener("keydown", (event) => this.onCommentKey(event));
    this.keys = this.keyTable();
    this.go(Math.max(state.reviews.findIndex((review) => !review.is_settled), 0));
  }

  keyTable() {
    const { reject, keep, choose, commit, object, back, forward } = this.actions;
    const { seeing } = this.view;
    const turnOr = (by, otherwise) => () => (seeing.volume.isOpen ? seeing.turn(by) : otherwise());
    const keys = new Map([["KeyK", keep], ["KeyO", object], ["ArrowLeft", turnOr(-1, back)], ["ArrowRight", turnOr(1, forward)]]);
    codesOf(this.protocol, "commit_keys").forEach((code) => keys.set(code, commit));
    codesOf(this.protocol, "back_keys").forEach((code) => keys.set(code, back));
    for (const criterion of this.protocol.criteria) {
      for (const choice of criterion.choices) keys.set(choice.key, criterion.ends_label ? reject : () => choose(criterion.name, choice.value));
    }
    for (const [code, action] of seeing.learn((code) => !keys.has(code), this.view.layout)) keys.set(code, action);
    keys.set("PageUp", () => seeing.volume.isOpen && seeing.scroll(10)).set("PageDown", () => seeing.volume.isOpen && seeing.scroll(-10));
    return keys.set("Escape", () => seeing.rest());
  }

  onImage(content, buffers) {
    this.labels.set(content.position, content.labels);
    this.reviews[content.position] = content.review;
    this.pictures.receive(content, buffers);
  }

  onReviews(reviews) {
    this.reviews = reviews;
    this.showStanding();
  }

  // Which image

  go(position) {
    this.position = position;
    this.draft = null;
    this.painted = false;
    delete this.root.dataset.painted;
    this.view.say("");
    this.view.comment.value = "";
    this.show();
    const near = [position, position + 1, position + 2, position - 1].filter((place) => place >= 0 && place < this.state.total);
    this.pictures.hold(near);
  }

  back() {
    if (this.position > 0) this.go(this.position - 1);
  }

  forward() {
    if (this.position + 1 < this.state.total) this.go(this.position + 1);
  }

  async show() {
    const { position } = this;
    const image = this.pictures.get(position);
    this.showStanding();
    if (!image) return this.view.words(t("Loading the picture"));
    if (image.error) return this.view.words(t("This image cannot be shown"), told(image.error));
    this.view.picture(image);
    await twoFrames();
    if (this.position !== position || this.painted) return;
    this.painted = true;
    this.transport.post({ kind: "painted", key: image.key });
    this.root.dataset.painted = String(position);
  }

  // What is done

  get review() {
    return this.reviews[this.position];
  }

  /** Whether the verdict on the screen is somebody else's and waits for this reviewer. */
  get waitsForUs() {
    return Boolean(this.review.proposal && !this.review.proposal.is_own && !this.review.is_settled);
  }

  isReady() {
    if (this.review.is_settled) this.view.say(t("Two people have settled this image."));
    else if (!this.painted) this.view.say(t("Not yet: the picture is not on the screen."));
    return this.painted && !this.review.is_settled;
  }

  reject() {
    if (!this.isReady()) return;
    this.setDraft({ [this.ends.name]: true });
  }

  /** Keep the image: with the grades that exist, the higher one where there are two. */
  keep() {
    if (!this.isReady()) return;
    const graded = this.labels.get(this.position).map((label) => this.grading.shown(label.answers)).filter((answers) => !this.grading.ended(answers));
    const names = new Set(graded.flatMap((answers) => Object.keys(answers)));
    this.setDraft(Object.fromEntries(Array.from(names, (name) => [name, graded.map((answers) => answers[name]).reduce((one, other) => (other > one ? other : one))])));
  }

  choose(name, value) {
    if (!this.isReady()) return;
    if (!this.draft || this.grading.ended(this.draft)) this.keep();
    this.setDraft({ ...this.draft, [name]: value });
  }

  setDraft(draft) {
    this.draft = draft;
    this.view.say("");
    this.showStanding();
  }

  commit() {
    if (!this.isReady()) return;
    if (!this.draft && this.waitsForUs) return this.send("sign", { proposal_id: this.review.proposal.event_id });
    if (!this.draft) return this.view.say(t("Choose first: reject, or keep."));
    const unset = this.grading.unset(this.draft);
    if (unset.length) return this.view.say(t("Not proposed. Not set: {names}.", { names: this.grading.names(unset) }));
    this.send("propose", { answers: this.draft, comment: this.comment });
  }

  object() {
    if (!this.isReady()) return;
    if (!this.waitsForUs) return this.view.say(t("There is nothing of somebody else's to object to."));
    if (!this.comment) {
      this.view.comment.focus();
      return this.view.say(t("Say in a word what you see, then Enter and object again."));
    }
    this.send("object", { proposal_id: this.review.proposal.event_id, comment: this.comment });
  }

  get comment() {
    return this.view.comment.value.trim();
  }

  send(kind, more) {
    const event_id = newEventId();
    const { key } = this.pictures.get(this.position);
    this.sent.set(event_id, this.position);
    this.transport.commit(event_id, [{ kind: "painted", key }, { kind, key, event_id, ...more }]);
    this.draft = null;
    this.view.comment.value = "";
    this.ask();
  }

  // Keys and focus

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.target instanceof HTMLInputElement) return;
    const action = this.keys?.get(event.code);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || this.view.seeing.repeating.includes(event.code)) action(event);
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

  showStanding() {
    const { total } = this.state;
    const n = this.reviews.filter((review) => review.is_settled).length;
    this.view.position.textContent = total ? t("disagreement {number} of {total}", { number: this.position + 1, total }) : t("no disagreement");
    this.view.progress.textContent = n === total ? t("all are settled: the coordinator can make the consensus") : t("{n} settled", { n });
    const labels = this.labels.get(this.position) ?? [];
    this.view.labels(labels.map(({ rater, answers, comment }) => {
      const isReject = this.grading.ended(this.grading.shown(answers));
      return { rater, verdict: isReject ? t("reject") : t("keep"), words: isReject ? t("no grades") : this.inWords(answers), comment };
    }));
    this.view.stands(...this.standing());
    const isKept = Boolean(this.draft) && !this.grading.ended(this.draft);
    this.view.draft(this.draft, isKept);
    this.view.commitWord.textContent = !this.draft && this.waitsForUs ? t("sign it") : t("propose");
    this.view.objectButton.disabled = !this.waitsForUs;
    this.view.commitButton.disabled = this.review.is_settled;
  }

  /** Return how far the review is: a kind for the style, and lines of words. */
  standing() {
    const { proposal, objection, is_settled, reviewers } = this.review;
    if (is_settled) return ["settled", t("Settled by {reviewers}", { reviewers: reviewers.join(t(" and ")) }), this.verdictWords(proposal)];
    if (proposal?.is_own) return ["waits", t("You propose"), this.verdictWords(proposal), t("The other reviewer signs or objects, from their own page.")];
    if (proposal) return ["asks", t("{by} proposes", proposal), this.verdictWords(proposal), t("Sign it, object with a word, or propose something else.")];
    if (objection) return ["asks", t("{by} objects: “{comment}”", objection), t("Look together, and propose again.")];
    return ["open", t("No proposal yet"), t("Look together; one of you proposes, the other signs.")];
  }

  verdictWords({ answers, comment }) {
    const shown = this.grading.shown(answers);
    const verdict = this.grading.ended(shown) ? t("reject") : t("keep: {answers}", { answers: this.inWords(answers) });
    return comment ? `${verdict} ${quoted(comment)}` : verdict;
  }

  inWords(answers) {
    return this.grading.inWords(answers, "");
  }

  showStatus() {
    const { waiting, refused, late, gone } = this.transport.status();
    const trouble = refused || late || gone;
    const words = trouble ? (waiting || refused ? t("✕ NOT SAVED") : t("✕ not connected")) : waiting ? t("… not saved yet") : t("✓ all saved");
    if (this.view.saved.textContent !== words) this.view.saved.textContent = words;
    this.view.saved.classList.toggle("qc-trouble", Boolean(trouble));
    if (refused) {
      const { why } = this.transport.takeRefused();
      this.view.say(t("Not done: {why}.", { why: told(why) }));
    }
    const why = { why: late ? told(late) : t("the kernel does not answer") };
    const told_of = waiting ? t("NOT SAVED: {why}. What was saved is safe.", why) : t("Not connected: {why}. What was saved is safe.", why);
    const message = trouble && !refused ? told_of : "";
    this.view.banner.hidden = !message;
    if (this.view.banner.textContent !== message) this.view.banner.textContent = message;
  }
}

export default {
  render({ model, el }) {
    speak(model.get("language"));
    const root = element("div", { ...OWN_KEYS, class: "qc-labeller qc-review", tabindex: "0", role: "application", lang: language, "aria-label": t("review disagreements") });
    root.dataset.theme = model.get("theme");
    root.classList.toggle("qc-fills-page", model.get("fills_page"));
    el.replaceChildren(root);
    const page = new ReviewPage(model, root);
    page.start();
    return () => page.stop();
  },
};
