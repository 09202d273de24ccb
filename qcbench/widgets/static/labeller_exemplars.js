// Pictures that show the choices of a criterion, beside the picture that is graded, while a key is held.

/** The keys to hold: the protocol's, else one that it gives to nothing else. */
function exemplarCodes(protocol) {
  if (protocol.exemplar_keys) return protocol.exemplar_keys;
  const actions = ["commit_keys", "back_keys", ...Object.keys(USUAL_KEYS)].flatMap((name) => codesOf(protocol, name));
  const answers = protocol.criteria.flatMap((criterion) => [...criterion.keys, ...criterion.choices.map((choice) => choice.key)]);
  return ["KeyG", "KeyK"].filter((code) => ![...actions, ...answers].includes(code)).slice(0, 1);
}

function hasExemplar(criterion) {
  return criterion.choices.some((choice) => choice.has_exemplar);
}

/** When they are shown, and of which criterion. `subject()` is the criterion in question, `turnTo(name)` makes it another. */
class Exemplars {
  constructor({ view, post, subject, turnTo }) {
    this.view = view;
    this.post = post;
    this.subject = subject;
    this.turnTo = turnTo;
    this.pictures = new Map(); // criterion name -> Map of value -> decoded image
    this.askedAt = new Map(); // criterion name -> time
    this.isHeld = false; // by the key
    this.isPinned = false; // by the button
  }

  hold() {
    this.isHeld = true;
    this.show();
  }

  release() {
    this.isHeld = false;
    this.show();
  }

  toggle() {
    this.isPinned = !this.isPinned;
    this.show();
  }

  hide() {
    this.isHeld = this.isPinned = false;
    this.show();
  }

  /** Show those of the next criterion that has some, or of the one before. */
  turn(by) {
    const names = this.view.grading.protocol.criteria.filter(hasExemplar).map((criterion) => criterion.name);
    if (names.length) this.turnTo(names.at((names.indexOf(this.subject().name) + by) % names.length));
  }

  show(answers = this.answers) {
    this.answers = answers;
    const isShown = this.isHeld || this.isPinned;
    this.view.examples.setAttribute("aria-pressed", String(isShown));
    if (!isShown) return this.view.exemplars.hide();
    const criterion = this.subject();
    this.ask(criterion);
    this.view.exemplars.show({ criterion, pictures: this.pictures.get(criterion.name) ?? new Map(), answer: answers[criterion.name], view: this.view, turnTo: this.turnTo });
  }

  /** Ask once; what did not come is asked for again when it is wanted later. */
  ask(criterion) {
    const n = criterion.choices.filter((choice) => choice.has_exemplar).length;
    const isThere = (this.pictures.get(criterion.name)?.size ?? 0) === n;
    if (isThere || performance.now() - this.askedAt.get(criterion.name) < ASK_AGAIN_MS) return;
    this.askedAt.set(criterion.name, performance.now());
    this.post({ kind: "exemplars", criterion: criterion.name });
  }

  async receive({ criterion, value }, buffers) {
    const picture = new Image();
    picture.alt = "";
    picture.draggable = false;
    picture.decoding = "sync";
    const url = URL.createObjectURL(new Blob([buffers[0]], { type: buffers[0].getUint8(0) === 0xff ? "image/jpeg" : "image/png" }));
    picture.src = url;
    await picture.decode().catch(() => {});
    URL.revokeObjectURL(url); // the element keeps what it has loaded
    if (!this.pictures.has(criterion)) this.pictures.set(criterion, new Map());
    this.pictures.get(criterion).set(value, picture);
    this.show();
  }
}

/** The lower half of the stage; the picture that is graded shrinks into the upper one. */
class ExemplarPanel {
  constructor() {
    this.box = element("div", { class: "qc-exemplars", role: "group", "aria-label": t("examples"), hidden: true });
  }

  get isOpen() {
    return !this.box.hidden;
  }

  hide() {
    if (!this.isOpen) return;
    this.box.hidden = true;
    this.box.replaceChildren();
  }

  show({ criterion, pictures, answer, view, turnTo }) {
    const { criteria } = view.grading.protocol;
    const tabs = criteria.filter((each) => each === criterion || hasExemplar(each)).map((each) =>
      keyButton({ className: "qc-plain", "aria-pressed": String(each === criterion), onPress: () => turnTo(each.name) }, each.label),
    );
    const shown = criterion.choices.filter((choice) => choice.has_exemplar);
    const figures = shown.map((choice) => this.figure(criterion, choice, pictures.get(choice.value), answer, view.layout));
    const none = element("p", { class: "qc-no-exemplars", text: t("{label}: this protocol has no example pictures of it.", { label: criterion.label }) });
    const grid = element("div", { class: "qc-figures" }, ...figures);
    grid.style.setProperty("--columns", Math.ceil(shown.length / (shown.length > 5 ? 2 : 1)));
    this.box.replaceChildren(element("div", { class: "qc-tabs" }, ...tabs), shown.length ? grid : none);
    this.box.hidden = false;
  }

  figure(criterion, { key, value, label }, picture, answer, layout) {
    const grade = criterion.kind === "grade" ? `${value} ` : "";
    const caption = element("figcaption", {}, element("kbd", { text: keyName(key, layout) }), element("span", {}, element("b", { text: grade }), label));
    return element("figure", { "aria-current": String(holds(answer, value)) }, picture ?? element("div", { class: "qc-to-come", text: t("The picture is to come") }), caption);
  }
}
