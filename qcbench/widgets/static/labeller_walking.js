// Which image is on the screen: going to one, showing it at once, and when keys begin to count for it.

/** The first layer of the page; `labeller_noting.js` notes what is seen, `labeller.js` talks to the kernel. */
class LabellerWalking {
  /** Leave the image on the screen for another; what was chosen without commit is kept. */
  go(position) {
    this.keepDraft();
    this.position = position;
    this.arrive();
  }

  /** Show the image of the position: at once when its picture is there, for nothing is waited for. */
  arrive() {
    const { position } = this;
    this.painted = false;
    this.held = false; // whether a commit waits for earlier labels
    this.touched = null; // the criterion that was answered last
    delete this.root.dataset.painted;
    this.view.dialogs.close();
    this.view.say("");
    this.show();
    this.pictures.hold(this.near());
    this.showProgress();
  }

  /** The positions whose pictures are held: this one, where `forward` goes, those to come, those seen last. */
  near() {
    const { position, walk, trail, state } = this;
    const forth = this.canGoOn() ? [trail.future.at(-1) ?? position + 1] : [];
    const places = [position, ...forth, ...walk.upcoming(state.ahead, position), ...trail.last(state.behind, position)];
    return places.filter((place) => place < walk.total);
  }

  moveOn() {
    this.trail.leave(this.position);
    this.go(this.walk.next());
  }

  keepDraft() {
    const image = this.pictures.get(this.position);
    if (!this.painted || !image || this.unchanged(image)) return void this.drafts.delete(this.position);
    this.drafts.set(this.position, { answers: this.answers, comment: this.view.comment.value });
  }

  onReady(position, image) {
    const unsaved = [...this.sent.values()].find((each) => each.key === image.key);
    if (unsaved) image.label = unsaved.label; // the kernel answered before it could know
    if (image.label) this.walk.label(position);
    if (position === this.position) this.show();
  }

  show() {
    const { position } = this;
    const image = this.pictures.get(position);
    const noted = this.drafts.get(position) ?? image?.label ?? { answers: {}, comment: "" };
    this.answers = this.grading.shown(noted.answers);
    this.view.comment.value = noted.comment;
    this.showAnswers();
    this.status.place({ position, walk: this.walk, label: image?.label, canGoOn: this.canGoOn() });
    if (position === this.walk.total) return this.end();
    if (!image) return this.view.words(t("Loading the picture"));
    if (image.error) return this.view.words(t("Image {number} cannot be shown", { number: position + 1 }), told(image.error), t("Commit goes on to the next one; nothing is noted."));
    this.view.picture(image);
    this.paint(image);
  }

  /** Keys count for an image once it was on the screen for a frame, and the kernel is told so. */
  async paint(image) {
    const { position } = this;
    await image.img.decode().catch(() => {});
    await twoFrames();
    if (this.position !== position || this.pictures.get(position) !== image || this.painted) return;
    this.painted = true;
    this.timeSincePaint = this.stopwatch.begin();
    this.transport.post({ kind: "painted", key: image.key });
    this.root.dataset.painted = String(position);
  }

  end() {
    this.exemplars.hide();
    this.view.words(t("All {total} images are behind you", this.walk), t("Counting what was noted"));
    this.transport.post({ kind: "summary" });
  }

  isAtEnd() {
    return this.stage === "labelling" && this.position === this.walk.total;
  }

  /** Whether keys count; where they do not yet, that is said. */
  isReady() {
    if (this.stage !== "labelling" || this.isAtEnd()) return false;
    if (!this.painted) this.view.say(t("Not yet: the picture is not on the screen."));
    return this.painted;
  }

  /** An image that waits is not passed by accident; `defer` puts it off. */
  canGoOn() {
    return !this.isAtEnd() && (this.trail.future.length > 0 || this.walk.kind(this.position) !== WAITS);
  }

  forward() {
    if (this.stage !== "labelling" || !this.canGoOn()) return;
    const later = this.trail.forth(this.position);
    if (later !== undefined) return this.go(later);
    const isLast = this.position + 1 === this.walk.total;
    this.trail.leave(this.position);
    this.go(isLast ? this.walk.next() : this.position + 1);
  }

  askNumber() {
    if (this.stage !== "labelling") return;
    this.view.dialogs.askNumber(this.walk.total, (position) => {
      if (position === this.position) return;
      this.trail.leave(this.position);
      this.go(position);
    });
  }
}
