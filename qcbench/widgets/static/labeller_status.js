// The head and the banner: where the rater is, how it goes on, and whether everything is saved.

class LabellerStatus {
  constructor(view) {
    this.view = view;
    this.words = "";
  }

  /** Show the place in the walk, and the label that the image has already. */
  place({ position, walk, label, canGoOn }) {
    const { view } = this;
    const { total } = walk;
    const ended = position === total;
    view.root.classList.toggle("qc-at-end", ended);
    view.position.textContent = t("{number} of {total}", { number: ended ? total : position + 1, total });
    view.bar.value = total ? walk.nLabelled / total : 0;
    view.root.classList.toggle("qc-again", Boolean(label));
    view.relabelling.hidden = !label;
    if (label) view.relabelling.textContent = [t("↺ labelled {when}", { when: when(label.saved_at) }), label.n_revisions && t("changed {n}×", { n: label.n_revisions })].filter(Boolean).join(", ");
    view.relabelling.title = t("a change keeps both versions");
    view.backButton.disabled = position === 0;
    view.nextButton.disabled = !canGoOn;
    view.deferButton.disabled = ended || Boolean(label);
  }

  /** Show how far it is and how fast it goes: small, and without a number that nobody can plan with. */
  progress({ walk, today, pace }) {
    const { view } = this;
    const n_for_later = walk.putOff.length;
    const rate = pace.perHour();
    const done = [t("{n} done", { n: walk.nLabelled }), n_for_later && t("{n} for later", { n: n_for_later }), t("{n} today", { n: today })];
    setText(view.progress, done.filter(Boolean).join(", "));
    setText(view.pace, rate === null ? "" : [t("{rate} an hour", { rate }), told(pace.timeLeft(walk.nLeft()))].filter(Boolean).join(", "));
  }

  /** Show whether labels are saved; `trouble` is the text of the banner, empty when there is none. */
  saved({ waiting, isTrouble, notSaved, trouble }) {
    const { saved, banner, root } = this.view;
    const calm = waiting ? t("… {waiting} not saved yet", { waiting }) : t("✓ all saved");
    this.words = isTrouble ? (notSaved ? t("✕ NOT SAVED") : t("✕ not connected")) : calm;
    setText(saved, this.words);
    saved.classList.toggle("qc-trouble", isTrouble);
    banner.hidden = !trouble;
    setText(banner, trouble);
    root.classList.toggle("qc-not-saved", isTrouble);
  }

  /** Tell a screen reader what has lasted; labels that are saved within a moment are no news. */
  speak() {
    if (this.words === this.lasted) setText(this.view.spoken, this.words.replace(/^\W+/, ""));
    this.lasted = this.words;
  }

  elsewhere({ others, image }) {
    const pages = others ? t("also open in another page") : "";
    const doubled = image === null ? "" : t("image {number} also labelled in another page; both are kept", { number: image + 1 });
    setText(this.view.elsewhere, [pages, doubled].filter(Boolean).join("; "));
  }

  setAside(n) {
    this.view.aside.hidden = n === 0;
    setText(this.view.aside, t("{n} set aside", { n }));
  }
}

/** Set a text only where it changes, for a live region speaks at every change. */
function setText(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
}

function when(saved_at) {
  return new Date(saved_at).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });
}

/** The text of the banner; empty when all is well or will be in a moment. */
function troubleWords({ waiting, refused, late, gone }, { whose, back, keeps, isBeginning }) {
  if (refused) return t("NOT SAVED: {whose}: {why}.", { whose, why: told(refused.why) }) + ` ${back}`;
  if (waiting && (late || gone)) {
    const kept = keeps
      ? tn("{n} label is kept here, in this browser, and sent again.", "{n} labels are kept here, in this browser, and sent again.", waiting)
      : tn("{n} label is kept here and sent again. Do not close this page.", "{n} labels are kept here and sent again. Do not close this page.", waiting);
    const reload = gone && keeps && t("If this stays, load the page again.");
    const why = t("NOT SAVED: {why}.", { why: late ? told(late) : t("the kernel does not answer") });
    return [why, kept, reload, isBeginning && back].filter(Boolean).join(" ");
  }
  return gone ? t("Not connected: the kernel does not answer. What was saved is safe; if this stays, load the page again.") : "";
}
