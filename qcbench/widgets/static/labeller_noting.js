// What is noted of the image on the screen: answers, the commit, putting off, and labels that were refused.

// A label takes a round trip, 0.1 s over a slow network. Those that wait are safe in the browser's outbox.
const MOST_UNCONFIRMED = 8;

/** The second layer of the page. A label is sent and kept in the browser; nobody waits for either. */
class LabellerNoting extends LabellerWalking {
  unchanged(image) {
    const comment = this.view.comment.value.trim();
    return this.grading.same(this.answers, this.grading.shown(image.label?.answers)) && comment === (image.label?.comment ?? "");
  }

  /** A choice was pressed, by key or mouse. */
  choose(name, value) {
    this.answer(name, (answers) => this.grading.chosen(answers, name, value));
  }

  /** A level was slid or a text was typed. */
  note(name, value) {
    this.answer(name, (answers) => this.grading.noted(answers, name, value));
  }

  step(name, steps) {
    this.answer(name, (answers) => this.grading.noted(answers, name, this.grading.stepped(answers, name, steps)));
  }

  answer(name, change) {
    if (!this.isReady()) return;
    this.held = false;
    this.view.say("");
    this.touched = name;
    const before = this.answers;
    this.answers = change(before);
    if (this.answers === before) this.view.say(this.grading.whenAsked(name));
    this.showAnswers();
    if (this.grading.ended(this.answers)) this.commit();
  }

  commit() {
    const image = this.stage === "labelling" ? this.pictures.get(this.position) : null;
    if (image?.error) return this.pass();
    if (!this.isReady()) return;
    if (image.label && this.unchanged(image)) return this.forward();
    const unset = this.grading.unset(this.answers);
    if (unset.length) {
      this.view.missing(unset.map((criterion) => criterion.name));
      return this.view.say(t("Not committed. Not set: {names}.", { names: this.grading.names(unset) }));
    }
    const { waiting, refused } = this.transport.status();
    if (refused) return this.view.say(t("Not committed. Look first at the label that was not saved (red)."));
    if (waiting >= MOST_UNCONFIRMED) {
      this.held = true;
      return this.view.say(t("Wait: {waiting} labels are not saved yet. This one follows them.", { waiting }));
    }
    if (image.label) this.view.dialogs.askReason(this.protocol.reasons, (reason) => this.send(image, reason));
    else this.send(image, "");
  }

  send(image, reason) {
    const event_id = newEventId();
    const { answers, position } = this;
    const { img, key, label: earlier } = image;
    const { seconds, idle_s } = this.timeSincePaint();
    const comment = this.view.comment.value.trim();
    const sizes = { css_width: img.clientWidth, css_height: img.clientHeight, natural_width: img.naturalWidth, natural_height: img.naturalHeight };
    const display = { ...sizes, device_pixel_ratio: window.devicePixelRatio, idle_s, ...this.view.seeing.record() };
    const message = { kind: "label", event_id, key, replaces: earlier?.event_id ?? null, answers, comment, reason, seconds, display };
    const messages = [{ kind: "painted", key }, message];
    image.label = { event_id, answers, comment, saved_at: new Date().toISOString(), n_revisions: earlier ? earlier.n_revisions + 1 : 0 };
    this.sent.set(event_id, { position, key, label: image.label });
    this.transport.commit(event_id, messages);
    this.safekeeping.keep(event_id, messages);
    if (this.anew.has(key)) this.safekeeping.release(this.anew.get(key));
    this.anew.delete(key);
    this.count(earlier);
    this.walk.label(position);
    this.moveOn();
  }

  count(earlier) {
    const date = new Date().toDateString();
    this.today = { n: this.today.date === date ? this.today.n + 1 : 1, date };
    if (!earlier) this.pace.mark(this.stopwatch.activeMs());
  }

  /** Put the image off: it comes again after all others, on this page and on later ones. */
  defer() {
    const image = this.isReady() ? this.pictures.get(this.position) : null;
    if (!image) return;
    if (image.label) return this.view.say(t("It has a label already: change it, or go on."));
    this.transport.post({ kind: "defer", key: image.key });
    this.deferring.set(image.key, this.position);
    this.walk.defer(this.position);
    this.moveOn();
  }

  /** A commit that had to wait for earlier labels is carried out once they are saved. */
  commitHeld() {
    this.held = false;
    this.view.say("");
    this.commit();
  }

  pass() {
    this.walk.pass(this.position);
    this.moveOn();
  }

  /** The kernel will not take this label: show its image afresh, with what was chosen, and keep it aside until then. */
  decide(refused) {
    const ours = this.sent.get(refused.event_id);
    this.sent.delete(refused.event_id);
    this.safekeeping.setAside(refused);
    if (!ours) return this.showStatus();
    const { position, key, label } = ours;
    this.anew.set(key, refused.event_id);
    if (position !== this.position) this.trail.leave(this.position);
    this.keepDraft();
    this.pictures.forget(position);
    this.walk.wait(position);
    this.drafts.set(position, { answers: label.answers, comment: label.comment });
    this.position = position;
    this.arrive();
  }

  /** The criterion that examples are wanted of: the one answered last, else the first that is not set. */
  subject() {
    const { protocol, byName } = this.grading;
    return byName.get(this.touched) ?? this.grading.unset(this.answers)[0] ?? protocol.criteria[0];
  }

  showAnswers() {
    const image = this.pictures.get(this.position);
    const before = image?.label;
    this.view.commitWord.textContent = before ? (this.unchanged(image) ? t("go on") : t("change")) : t("commit");
    this.view.verdict(...(this.isAtEnd() ? ["", ""] : this.grading.verdict(this.answers)));
    this.view.answers(this.answers, before && this.grading.shown(before.answers));
    this.exemplars.show(this.answers);
  }
}
