// What two reviewers see of one disagreement: elements only; `review.js` calls these functions.

class ReviewView {
  constructor(root, actions, post) {
    this.root = root;
    this.actions = actions;
    this.position = element("strong", { class: "qc-position" });
    this.progress = element("span", { class: "qc-done" });
    this.saved = element("span", { class: "qc-saved", role: "status", "aria-live": "polite" });
    this.rater = element("span", { class: "qc-rater" });
    this.ways = keyButton({ className: "qc-plain qc-help", onPress: () => this.seeing.togglePinned(), title: t("zoom, window, loupe, volume") }, t("view"));
    this.frame = element("div", { class: "qc-frame" });
    this.banner = element("div", { class: "qc-banner", role: "alert", hidden: true });
    this.note = element("div", { class: "qc-note", role: "status", "aria-live": "polite" });
    this.veil = element("div", { class: "qc-veil", text: t("Click here to review: keys go elsewhere now"), hidden: true });
    this.strip = element("div", { class: "qc-strip" });
    root.replaceChildren(
      element("div", { class: "qc-head" }, this.position, this.progress, element("span", { class: "qc-gap" }), this.saved, this.rater, this.ways),
      element("div", { class: "qc-stage" }, this.frame, this.veil, this.note, this.banner),
      this.strip,
    );
    this.seeing = new Seeing({ stage: this.frame.parentElement, frame: this.frame, post });
  }

  build(protocol, reviewer, layout) {
    this.layout = layout;
    this.rater.textContent = t("reviewer {reviewer}", { reviewer });
    this.sides = element("div", { class: "qc-sides" });
    this.standing = element("div", { class: "qc-standing", role: "status", "aria-live": "polite" });
    this.groups = new Map(protocol.criteria.map((criterion) => [criterion.name, this.group(criterion)]));
    this.comment = element("input", { class: "qc-comment", type: "text", maxlength: "2000", placeholder: t("a word (Tab)"), "aria-label": t("comment") });
    const button = (key, className, onPress, text) => keyButton({ key, className, onPress }, text);
    const { reject, keep, commit, object, back, forward } = this.actions;
    const ends = protocol.criteria.find((criterion) => criterion.ends_label);
    this.rejectButton = button(keyName(ends.choices[0].key, layout), "qc-choice", reject, t("reject"));
    this.keepButton = button("K", "qc-choice", keep, t("keep"));
    this.commitWord = element("span");
    this.commitButton = keyButton({ key: keyName(codesOf(protocol, "commit_keys")[0], layout), className: "qc-commit", onPress: commit }, this.commitWord);
    this.objectButton = button("O", "qc-plain", object, t("object"));
    const verdict = element("div", { class: "qc-group qc-verdicts", role: "radiogroup", "aria-label": t("together") }, element("div", { class: "qc-title", text: t("Together") }), this.rejectButton, this.keepButton);
    const grades = Array.from(this.groups.values(), (group) => group.box).filter((box) => box !== null);
    const steps = element("div", { class: "qc-steps" }, button("←", "qc-plain", back, t("back")), button("→", "qc-plain", forward, t("forward")));
    const act = element("div", { class: "qc-steps" }, this.commitButton, this.objectButton);
    this.strip.replaceChildren(
      element("div", { class: "qc-before" }, this.sides, this.standing),
      element("div", { class: "qc-together" }, verdict, ...grades),
      element("div", { class: "qc-end" }, this.comment, act, steps),
    );
  }

  group(criterion) {
    if (criterion.ends_label) return { box: null, buttons: [] };
    const buttons = criterion.choices.map((choice) => {
      const word = wordAndRest(choice.label)[0];
      const text = criterion.kind === "grade" ? `${choice.value} ${word}` : word;
      const onPress = () => this.actions.choose(criterion.name, choice.value);
      const mark = element("span", { class: "qc-mark", "aria-hidden": "true" });
      const button = keyButton({ key: keyName(choice.key, this.layout), className: "qc-choice", role: "radio", "aria-checked": "false", title: choice.label, onPress }, mark, element("span", { class: "qc-line", text }));
      return { button, value: choice.value };
    });
    const title = element("div", { class: "qc-title", text: criterion.label });
    const box = element("div", { class: "qc-group", role: "radiogroup", "aria-label": criterion.label, "data-criterion": criterion.name }, title, ...buttons.map((each) => each.button));
    return { box, buttons };
  }

  /** Show both raters' labels side by side. */
  labels(labels) {
    const cards = labels.map(({ rater, verdict, words, comment }) => element(
      "div",
      { class: "qc-side" },
      element("div", { class: "qc-title" }, element("span", { text: rater }), element("b", { text: verdict })),
      element("div", { class: "qc-rule", text: words }),
      comment ? element("div", { class: "qc-quote", text: quoted(comment) }) : null,
    ));
    this.sides.replaceChildren(...cards);
  }

  /** Show how far the review is, in words; `lines` from the most important down. */
  stands(kind, ...lines) {
    this.standing.dataset.kind = kind;
    this.standing.replaceChildren(...lines.filter(Boolean).map((line, number) => element(number ? "div" : "b", { text: line })));
  }

  /** Show what is about to be proposed: nothing, a reject, or an image that is kept with its grades. */
  draft(answers, isKept) {
    this.rejectButton.setAttribute("aria-checked", String(Boolean(answers) && !isKept));
    this.keepButton.setAttribute("aria-checked", String(Boolean(answers) && isKept));
    for (const [name, { box, buttons }] of this.groups) {
      box?.classList.toggle("qc-idle", !isKept);
      box?.classList.toggle("qc-unset", isKept && answers[name] === undefined);
      for (const { button, value } of buttons) button.setAttribute("aria-checked", String(isKept && answers[name] === value));
    }
  }

  picture({ img, ...about }) {
    this.frame.replaceChildren(img);
    this.seeing.show(img, about);
  }

  words(...lines) {
    this.seeing.clear();
    this.frame.replaceChildren(element("div", { class: "qc-words-only" }, ...lines.map((line, number) => element(number ? "p" : "h2", { text: line }))));
  }

  say(text) {
    this.note.textContent = text;
  }
}
