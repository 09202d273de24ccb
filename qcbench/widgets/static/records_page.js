// Proposed repairs to go through by keyboard, group by group or one by one; below them what the records amount to.

const LOOK_EVERY_MS = 60_000;
const LOOK_AGAIN_MS = 2_000;
const QUICK_AUDIT_S = 5;

class RecordsPage {
  constructor(model, root) {
    this.root = root;
    this.transport = new Transport(model, {
      onMessage: (content) => this.onMessage(content), onChange: () => this.showStatus(), onSaved: (ack) => this.onSaved(ack),
    });
    this.head = element("h2", { text: "Records" });
    this.audit = { state: "unchecked" };
    this.auditWords = element("button", { type: "button", class: "qc-audit", title: "read the audit log again", onmousedown: (event) => event.preventDefault(), onclick: () => this.checkAudit(true) });
    this.saved = element("span", { class: "qc-saved", role: "status", "aria-live": "polite" });
    this.told = element("p", { class: "qc-told", role: "status", "aria-live": "polite" });
    this.list = element("div", { class: "qc-rows", role: "tree", "aria-label": "proposed repairs" });
    this.overview = element("div", { class: "qc-overview" });
    const act = (key, text, onclick) => element("button", { type: "button", tabindex: "-1", onmousedown: (event) => event.preventDefault(), onclick }, element("kbd", { text: key }), text);
    this.acts = element("div", { class: "qc-acts" },
      act("A", "accept", () => this.decide("accepted")), act("R", "refuse", () => this.ask("refused")), act("O", "reopen", () => this.ask("reopened")),
      act("→", "one by one", () => this.open()), act("L", "look again", () => this.look()));
    this.why = element("input", { type: "text", maxlength: "500", autocomplete: "off", "aria-label": "why" });
    this.asking = element("form", { class: "qc-asking", hidden: true, onsubmit: (event) => this.answer(event) }, (this.question = element("label")), this.why,
      element("button", { type: "submit" }, element("kbd", { text: "Enter" }), "decide"), element("button", { type: "button", onclick: () => this.stopAsking() }, element("kbd", { text: "Esc" }), "leave it"));
    root.replaceChildren(
      element("header", {}, this.head, this.auditWords, this.saved),
      (this.work = element("section", { hidden: true }, (this.workHead = element("h3")), this.acts, this.asking, this.told, this.list)),
      this.overview,
    );
    for (const each of root.querySelectorAll("button, input")) each.setAttribute("data-lm-suppress-shortcuts", "true");
    this.place = 0;
    this.opened = null; // the group whose members are shown
    this.members = null;
    this.events = new AbortController();
  }

  start() {
    this.root.addEventListener("keydown", (event) => this.onKey(event), { signal: this.events.signal });
    this.transport.start();
    this.look();
    this.checkAudit(false);
    this.timers = [setInterval(() => this.look(), LOOK_EVERY_MS), setInterval(() => this.askAgain(), LOOK_AGAIN_MS)];
  }

  stop() {
    this.timers.forEach(clearInterval);
    this.events.abort();
    this.transport.stop();
  }

  look() {
    if (this.problem) return;
    this.transport.post({ kind: "hello" });
    if (this.opened) this.transport.post({ kind: "members", group: this.opened });
  }

  checkAudit(again) {
    this.transport.post({ kind: "audit", again });
  }

  /** What was lost or is being made is asked for again. */
  askAgain() {
    if (this.problem) return;
    if (!this.state) this.look();
    if (["unchecked", "checking"].includes(this.audit.state)) this.checkAudit(false);
  }

  onMessage(content) {
    if (content.kind === "problem") {
      this.problem = content.why;
      this.overview.replaceChildren(element("p", { class: "qc-problem-words", text: content.why }));
    } else if (content.kind === "away" || content.kind === "refused") this.told.textContent = content.why;
    else if (content.kind === "state") this.onState(content);
    else if (content.kind === "members" && content.group === this.opened) {
      this.members = content.members;
      this.show();
    } else if (content.kind === "audit") {
      this.audit = content;
      this.showAudit();
    }
  }

  onState(state) {
    const isFirst = !this.state;
    const chosen = this.chosen()?.key;
    this.state = state;
    this.head.textContent = `Records of ${state.study}`;
    this.work.hidden = !state.groups.length;
    this.workHead.textContent = `Proposed repairs: ${state.groups.reduce((sum, group) => sum + group.waiting, 0).toLocaleString("en")} wait`;
    if (isFirst) this.order = state.groups.map((each) => each.group);
    // A group stays where it is while it is worked on; what is new comes last.
    for (const { group } of state.groups) if (!this.order.includes(group)) this.order.push(group);
    this.place = Math.max(0, this.rows().findIndex((row) => row.key === chosen));
    this.show();
    this.showAudit();
    if (isFirst) this.root.focus({ preventScroll: true });
  }

  /** The rows of the list: groups and, below the one that is open, its scanners where there are several, its members. */
  rows() {
    const rows = [];
    for (const group of this.order ?? []) {
      const each = this.state.groups.find((found) => found.group === group);
      if (!each) continue;
      rows.push({ key: group, group: each, level: 1 });
      if (group !== this.opened) continue;
      const scanners = Object.entries(each.scanners);
      if (scanners.length > 1) rows.push(...scanners.map(([scanner, n]) => ({ key: `${group} ${scanner}`, group: each, level: 2, scanner, n })));
      rows.push(...(this.members ?? []).map((member) => ({ key: `${group} ${member.flag}`, group: each, level: 2, member })));
      const more = this.members ? each.waiting + each.accepted + each.refused - this.members.length : 0;
      if (more > 0) rows.push({ key: `${group} more`, group: each, level: 2, more });
    }
    return rows;
  }

  chosen() {
    return this.state && this.rows()[this.place];
  }

  move(place) {
    this.place = Math.min(Math.max(place, 0), this.rows().length - 1);
    this.show();
  }

  open() {
    const row = this.chosen();
    if (!row || row.level > 1 || row.key === this.opened) return;
    this.opened = row.key;
    this.members = null;
    this.transport.post({ kind: "members", group: row.key });
    this.place = this.rows().findIndex((each) => each.key === row.key);
    this.show();
  }

  shut() {
    const key = this.opened;
    this.opened = this.members = null;
    this.place = Math.max(0, this.rows().findIndex((row) => row.key === key));
    this.show();
  }

  onKey(event) {
    if (!this.state || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target === this.why) {
      event.stopPropagation();
      if (event.key === "Escape") this.stopAsking();
      return;
    }
    if (event.target.tagName === "BUTTON" && ["Enter", " "].includes(event.key)) return event.stopPropagation();
    const keys = {
      ArrowDown: () => this.move(this.place + 1), ArrowUp: () => this.move(this.place - 1), PageDown: () => this.move(this.place + 10), PageUp: () => this.move(this.place - 10),
      Home: () => this.move(0), End: () => this.move(Infinity), ArrowRight: () => this.open(), ArrowLeft: () => this.shut(), Escape: () => this.shut(),
      Enter: () => (this.chosen()?.key === this.opened ? this.shut() : this.open()),
      a: () => this.decide("accepted"), r: () => this.ask("refused"), o: () => this.ask("reopened"), l: () => this.look(),
    };
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  /** How many of what is chosen a verdict is about. */
  meant(row, verdict) {
    const states = verdict === "reopened" ? ["accepted", "refused"] : ["waiting"];
    if (row.more) return 0; // what is not shown is decided with its group
    if (row.member) return states.includes(row.member.state) ? 1 : 0;
    if (!row.scanner) return states.reduce((sum, state) => sum + row.group[state], 0);
    return row.n; // the kernel knows how many of them are left
  }

  ask(verdict) {
    const row = this.chosen();
    if (!row || !this.isMeant(row, verdict)) return;
    this.pending = { row, verdict };
    this.question.textContent = `Why are ${this.named(row, verdict)} ${verdict}?`;
    this.asking.hidden = false;
    this.why.value = "";
    this.why.focus();
  }

  named(row, verdict) {
    const n = this.meant(row, verdict);
    const whose = row.scanner ? ` of ${row.scanner}` : "";
    return row.member ? `${row.group.field} of record ${row.member.item_id}` : `${many(n, "proposal")}${whose} (${row.group.words})`;
  }

  isMeant(row, verdict) {
    if (this.meant(row, verdict)) return true;
    if (row.more) return void (this.told.textContent = "These are decided with the whole group, or with their scanner.");
    this.told.textContent = verdict === "reopened" ? "Nothing was decided here yet." : "Nothing waits here: O reopens what was decided.";
    return false;
  }

  answer(event) {
    event.preventDefault();
    const why = this.why.value.trim();
    if (!why) return void (this.told.textContent = "Say why, in a word.");
    const { row, verdict } = this.pending;
    this.stopAsking();
    this.send(row, verdict, why);
  }

  stopAsking() {
    this.pending = null;
    this.asking.hidden = true;
    this.root.focus({ preventScroll: true });
  }

  decide(verdict) {
    const row = this.chosen();
    if (row && !this.pending && this.isMeant(row, verdict)) this.send(row, verdict, "");
  }

  send(row, verdict, why) {
    const event_id = newEventId();
    const narrowed = row.member ? { item: row.member.item_id } : row.scanner ? { scanner: row.scanner } : {};
    // What came after the list was shown is not decided with it.
    this.transport.commit(event_id, [{ kind: "decide", event_id, verdict, why, group: row.group.group, until: row.group.newest, ...narrowed }]);
    this.told.textContent = "";
  }

  onSaved({ verdict, done, notes }) {
    const undo = verdict === "reopened" || !done ? "" : " O reopens.";
    this.told.textContent = [`${many(done, "proposal")} ${verdict}.${undo}`, ...notes.map((note) => `${note}.`)].join(" ");
    this.look();
    // A log of millions of entries is read when somebody asks, and not after each decision.
    if ((this.audit.seconds ?? 0) < QUICK_AUDIT_S) this.checkAudit(true);
  }

  show() {
    if (!this.state) return;
    this.list.replaceChildren(...this.rows().map((row, place) => this.drawn(row, place)));
    this.list.children[this.place]?.scrollIntoView({ block: "nearest" });
    this.showStatus();
  }

  drawn(row, place) {
    const { group, member, scanner, level } = row;
    const parts = row.more ? this.ofMore(row) : member ? this.ofMember(member) : scanner ? this.ofScanner(row) : this.ofGroup(group);
    const choose = () => {
      this.move(place);
      this.root.focus({ preventScroll: true });
    };
    return element("div", {
      class: "qc-row", role: "treeitem", "aria-level": String(level), "aria-selected": String(place === this.place),
      "aria-expanded": level === 1 ? String(group.group === this.opened) : undefined, onclick: choose, ondblclick: () => (group.group === this.opened ? this.shut() : this.open()),
    }, ...parts);
  }

  ofGroup(group) {
    const counts = ["waiting", "accepted", "refused"].filter((state) => group[state]).map((state) => element("span", { class: `qc-state qc-${state}`, text: `${counted(group[state])} ${state === "waiting" ? "wait" : state}` }));
    const repair = [element("span", { class: "qc-field", text: `${group.field} ` }), element("s", { text: group.found ?? NOTHING }), " → ", element("b", { text: group.proposed })];
    if (group.values > 1) repair.push(element("small", { text: ` and ${many(group.values - 1, "other value")} alike` }));
    const from = [group.modalities, group.scanners].map((counts) => Object.entries(counts).map(([name, n]) => `${name} ${counted(n)}`).join(", ")).filter(Boolean).join(" · ");
    const meaning = this.state.flags.find((flag) => flag.code === group.code)?.meaning ?? group.code;
    return [
      element("span", { class: "qc-states" }, ...counts),
      element("span", { class: "qc-what" }, element("div", {}, ...repair), element("div", { class: "qc-dim", text: meaning }), element("div", { class: "qc-dim", text: `from ${from}` }), group.decided ? element("div", { class: "qc-dim", text: group.decided }) : null),
    ];
  }

  ofMore({ more }) {
    return [element("span", { class: "qc-states" }), element("span", { class: "qc-what qc-dim", text: `and ${many(more, "other")} like these, not shown one by one` })];
  }

  ofScanner({ scanner, n }) {
    return [element("span", { class: "qc-states" }), element("span", { class: "qc-what", text: `all of ${scanner}: ${many(n, "proposal")}` })];
  }

  ofMember(member) {
    const text = `${member.modality} ${member.item_id} · ${member.found ?? NOTHING} → ${member.proposed}${member.modality === "rating" ? "" : ` · ${member.scanner}`}`;
    const state = element("span", { class: `qc-state qc-${member.state}`, text: member.state === "waiting" ? "waits" : member.state });
    return [element("span", { class: "qc-states" }, state), element("span", { class: "qc-what" }, text, member.decided ? element("small", { text: ` ${member.decided}` }) : null)];
  }

  showAudit() {
    const [text, isAlarm] = auditWords(this.audit);
    this.auditWords.textContent = text;
    this.auditWords.classList.toggle("qc-trouble", isAlarm);
    if (this.state) this.overview.replaceChildren(...overviewParts(this.state, this.audit));
  }

  showStatus() {
    const { waiting, refused, late, gone } = this.transport.status();
    const isTrouble = refused || late || gone;
    const at = this.state && new Date(this.state.asked_at).toLocaleTimeString([], { timeStyle: "short" });
    const calm = this.state ? `${this.state.who} · all saved · as of ${at}` : "reading the records";
    this.saved.textContent = isTrouble ? (waiting || refused ? "✕ NOT SAVED" : "✕ not connected") : waiting ? "… not saved yet" : calm;
    this.saved.classList.toggle("qc-trouble", Boolean(isTrouble));
    if (late) this.told.textContent = `Not saved yet: ${late}.`;
    if (!refused) return;
    this.told.textContent = `Not saved: ${this.transport.takeRefused().why}.`;
    this.look();
  }
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "qc-records", tabindex: "0", "data-lm-suppress-shortcuts": "true", "data-theme": model.get("theme") });
    root.classList.toggle("qc-fills-page", model.get("fills_page"));
    el.replaceChildren(root);
    const page = new RecordsPage(model, root);
    page.start();
    return () => page.stop();
  },
};
