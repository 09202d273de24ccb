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
    view.position.textContent = `${ended ? total : position + 1} of ${total}`;
    view.bar.value = total ? walk.nLabelled / total : 0;
    view.root.classList.toggle("qc-again", Boolean(label));
    view.relabelling.hidden = !label;
    if (label) view.relabelling.textContent = `↺ labelled ${when(label.saved_at)}${label.n_revisions ? `, changed ${label.n_revisions}×` : ""}`;
    view.relabelling.title = "a change keeps both versions";
    view.backButton.disabled = position === 0;
    view.nextButton.disabled = !canGoOn;
    view.deferButton.disabled = ended || Boolean(label);
  }

  /** Show how far it is and how fast it goes: small, and without a number that nobody can plan with. */
  progress({ walk, today, pace }) {
    const { view } = this;
    const put_off = walk.putOff.length ? `, ${walk.putOff.length} for later` : "";
    const rate = pace.perHour();
    setText(view.progress, `${walk.nLabelled} done${put_off}, ${today} today`);
    setText(view.pace, rate === null ? "" : [`${rate} an hour`, pace.timeLeft(walk.nLeft())].filter(Boolean).join(", "));
  }

  /** Show whether labels are saved; `trouble` is the text of the banner, empty when there is none. */
  saved({ waiting, isTrouble, notSaved, trouble }) {
    const { saved, banner, root } = this.view;
    const calm = waiting ? `… ${waiting} not saved yet` : "✓ all saved";
    this.words = isTrouble ? (notSaved ? "✕ NOT SAVED" : "✕ not connected") : calm;
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
    const pages = others ? "also open in another page" : "";
    const doubled = image === null ? "" : `image ${image + 1} also labelled in another page; both are kept`;
    setText(this.view.elsewhere, [pages, doubled].filter(Boolean).join("; "));
  }

  setAside(n) {
    this.view.aside.hidden = n === 0;
    setText(this.view.aside, `${n} set aside`);
  }
}

/** Set a text only where it changes, for a live region speaks at every change. */
function setText(shown, text) {
  if (shown.textContent !== text) shown.textContent = text;
}

function when(saved_at) {
  return new Date(saved_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** The text of the banner; empty when all is well or will be in a moment. */
function troubleWords({ waiting, refused, late, gone }, { whose, back, keeps, isBeginning }) {
  if (refused) return `NOT SAVED: ${whose}: ${refused.why}. Press ${back}.`;
  const labels = waiting === 1 ? "1 label is" : `${waiting} labels are`;
  const kept = keeps ? "kept here, in this browser, and sent again" : "kept here and sent again. Do not close this page";
  const instead = isBeginning ? ` ${back} and begin without the first.` : "";
  const reload = gone && keeps ? " If this stays, load the page again." : "";
  if (waiting && (late || gone)) return `NOT SAVED: ${late || "the kernel does not answer"}. ${labels} ${kept}.${reload}${instead}`;
  if (gone) return "Not connected: the kernel does not answer. What was saved is safe; if this stays, load the page again.";
  return "";
}
