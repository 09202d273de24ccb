// The labeller's page: beginning, what the kernel says, what is shown of it.
// The kernel decides what is accepted (annotate/session.py); this page only asks and shows.

const LOOK_AGAIN_MS = 1000;
const LOOK_FOR_OTHERS_MS = 10_000;

class LabellerPage extends LabellerNoting {
  constructor(model, root) {
    super();
    this.root = root;
    this.fillsPage = model.get("fills_page");
    this.transport = new Transport(model, {
      onMessage: (content, buffers) => this.onMessage(content, buffers),
      onChange: () => this.showStatus(),
      onSaved: (ack) => this.onSaved(ack),
    });
    const names = ["choose", "note", "step", "commit", "back", "forward", "defer", "askNumber", "help", "listAside"];
    const shows = ["hold", "release", "toggle", "hide", "turn"];
    const actions = Object.fromEntries([
      ...names.map((name) => [name, (...values) => this.protocol && this[name](...values)]),
      ...shows.map((name) => [`${name}Exemplars`, (...values) => this.stage === "labelling" && this.exemplars[name](...values)]),
    ]);
    this.view = new LabellerView(root, actions, (content) => this.transport.post(content));
    this.status = new LabellerStatus(this.view);
    this.keys = new LabellerKeys(root, this.view, actions);
    this.safekeeping = new Safekeeping(this.transport, () => this.showStatus());
    this.stopwatch = new Stopwatch();
    this.pace = new Pace();
    this.pictures = new Pictures({
      post: (content) => this.transport.post(content),
      onReady: (position, image) => this.onReady(position, image),
    });
    this.exemplars = new Exemplars({
      view: this.view,
      post: (content) => this.transport.post(content),
      subject: () => this.subject(),
      turnTo: (name) => {
        this.touched = name;
        this.exemplars.show();
      },
    });
    this.stage = "asking"; // then "meeting" the kernel, "resending" what was left behind, "labelling"
    this.sent = new Map(); // event_id -> {position, key, label}, not acknowledged
    this.anew = new Map(); // key -> the event id of a refused label that is noted anew
    this.deferring = new Map(); // key -> position, not confirmed
    this.doubled = null; // the last position that was labelled in another page too
    this.events = new AbortController();
  }

  start() {
    const { signal } = this.events;
    this.keys.listen(signal, this.fillsPage);
    this.stopwatch.listen(signal);
    this.view.seeing.listen(signal);
    this.transport.start();
    this.view.words(t("Loading the queue"));
    this.lookAgain();
    this.timers = [
      setInterval(() => this.lookAgain(), LOOK_AGAIN_MS),
      setInterval(() => this.safekeeping.presence.ask(), LOOK_FOR_OTHERS_MS),
    ];
  }

  stop() {
    this.timers.forEach(clearInterval);
    this.events.abort();
    this.transport.stop();
    this.safekeeping.stop();
  }

  /** A message may be lost: what was asked for and did not come is asked for again. */
  lookAgain() {
    if (this.stage === "asking" && !this.problem) this.transport.post({ kind: "hello" });
    if (this.stage === "labelling") {
      this.pictures.askAgain();
      this.view.seeing.volume.askAgain();
      this.showProgress();
    }
    this.status.speak();
  }

  onMessage(content, buffers) {
    if (content.kind === "state") this.onState(content);
    else if (content.kind === "image" && this.stage === "labelling") this.pictures.receive(content, buffers);
    else if (content.kind === "exemplar" && this.stage === "labelling") this.exemplars.receive(content, buffers);
    else if (content.kind === "volume" || content.kind === "slice") this.view.seeing.volume.receive(content, buffers).then(() => this.view.seeing.changed());
    else if (content.kind === "summary") this.showSummary(content.counts);
    else if (content.kind === "deferred") this.deferring.delete(content.key);
    else if (content.kind === "refused") this.onRefused(content.why);
    else if (content.kind === "problem") {
      this.problem = content.why;
      this.root.classList.add("qc-problem");
      this.view.words(t("Nothing can be labelled here"), told(content.why));
    }
  }

  /** The kernel told its walk: the first time, after labels were sent again, or late, for a repeated hello. */
  onState(state) {
    const isOther = this.state && ["total", "cursor", "n_deferred"].some((name) => state[name] !== this.state[name]);
    if (!this.protocol) this.meet(state);
    else if (this.stage === "asking" || (this.stage === "labelling" && isOther)) this.begin(state);
  }

  async meet(state) {
    this.stage = "meeting";
    this.protocol = state.protocol;
    this.grading = new Grading(state.protocol, t);
    const layout = navigator.keyboard?.getLayoutMap?.().catch(() => null);
    const printed = await Promise.race([layout, new Promise((resolve) => setTimeout(resolve, 300))]);
    this.view.build(this.grading, state.rater, printed);
    this.view.comment.addEventListener("input", () => this.showAnswers());
    this.keys.learn(state.protocol);
    const n = await this.safekeeping.takeOver(state.desk);
    if (n === 0) return this.begin(state);
    this.stage = "resending";
    this.view.words(tn("Saving a label of an earlier page", "Saving {n} labels of an earlier page", n));
    this.showStatus();
  }

  begin(state) {
    this.stage = "labelling";
    this.state = state;
    this.walk = new Walk(state);
    this.trail = new Trail();
    this.drafts = new Map(); // position -> {answers, comment} that were left without commit
    this.today = { n: state.done_today ?? 0, date: new Date().toDateString() };
    this.pictures.clear();
    this.painted = false;
    this.position = this.walk.next();
    this.arrive();
  }

  onRefused(why) {
    if (this.deferring.size) this.view.say(t("Put off on this page only: {why}.", { why: told(why) }));
    this.deferring.clear();
  }

  onSaved({ event_id, elsewhere }) {
    const label = this.sent.get(event_id);
    this.sent.delete(event_id);
    this.safekeeping.release(event_id);
    if (elsewhere && label) this.doubled = label.position;
  }

  back() {
    if (this.stage === "resending" && !this.transport.status().refused) this.transport.giveUpFirst();
    const refused = this.transport.takeRefused();
    if (refused) return this.decide(refused);
    if (this.stage === "labelling" && this.position > 0) this.go(this.trail.back(this.position));
  }

  listAside() {
    const entries = Array.from(this.safekeeping.aside.values(), ({ event_id, messages, aside, number }) => {
      const { answers, comment } = messages.at(-1);
      return { event_id, when: when(number), noted: this.grading.inWords(answers, comment), why: aside };
    });
    this.view.dialogs.listAside(entries, {
      sendAgain: (event_id) => this.changeAside(() => this.safekeeping.sendAgain(event_id)),
      throwAway: (event_id) => this.changeAside(() => this.safekeeping.release(event_id)),
    });
  }

  changeAside(change) {
    change();
    this.view.dialogs.close();
  }

  help() {
    this.view.dialogs.toggleHelp(this.protocol, this.view.layout, this.view.seeing);
  }

  showProgress() {
    this.status.progress({ walk: this.walk, today: this.today.n, pace: this.pace });
  }

  showStatus() {
    const now = this.transport.status();
    const { waiting, refused, late, gone } = now;
    const isTrouble = Boolean(refused || late || gone);
    const trouble = troubleWords(now, this.troubleContext(refused));
    this.status.saved({ waiting, isTrouble, notSaved: waiting || refused, trouble });
    this.status.elsewhere({ others: this.safekeeping.presence.others.size, image: this.doubled });
    this.status.setAside(this.safekeeping.aside.size);
    if (this.stage === "resending" && !waiting) this.askAfresh();
    if (this.isAtEnd() && this.waited && !waiting) this.transport.post({ kind: "summary" });
    this.waited = waiting;
    if (this.held && waiting < MOST_UNCONFIRMED && !refused) this.commitHeld();
  }

  troubleContext(refused) {
    const ours = refused && this.sent.get(refused.event_id);
    const { answers, comment } = refused?.messages.at(-1) ?? {};
    const noted = refused && !ours ? t("a label of an earlier page ({noted})", { noted: this.grading.inWords(answers, comment) }) : "";
    const key = this.protocol ? keyName(codesOf(this.protocol, "back_keys")[0], this.view.layout) : "";
    const act = ours ? t("Press {key} (back) to note it again.", { key }) : t("Press {key} (back) to set it aside.", { key });
    const back = refused ? act : t("Press {key} (back) and begin without the first.", { key });
    return { whose: ours ? t("image {number}", { number: ours.position + 1 }) : noted, back, keeps: this.safekeeping.keeps, isBeginning: this.stage === "resending" };
  }

  /** What was left behind is saved or refused: the walk is another one now. */
  askAfresh() {
    this.stage = "asking";
    this.lookAgain();
  }

  showSummary(counts) {
    if (!this.isAtEnd()) return;
    const lines = Object.entries(counts).map(([name, count]) => t("{name}: {count}", { name: told(name), count }));
    const title = counts.waiting ? t("The end, with {waiting} without a label", counts) : t("All {total} images are labelled", this.walk);
    this.view.words(title, ...lines, t("Thank you. You may close this page, or go back and look again."));
  }
}

export default {
  render({ model, el }) {
    speak(model.get("language"));
    const root = element("div", { ...OWN_KEYS, class: "qc-labeller", tabindex: "0", role: "application", lang: language, "aria-label": t("label images") });
    root.dataset.theme = model.get("theme");
    root.classList.toggle("qc-fills-page", model.get("fills_page"));
    el.replaceChildren(root);
    const page = new LabellerPage(model, root);
    page.start();
    return () => page.stop();
  },
};
