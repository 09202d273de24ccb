// The page's half of widgets/transport.py: what is sent, what is confirmed, whether the kernel is there.
// Plain ES: static files are joined by Python into one module, so nothing is imported.

const ACK_WAIT_MS = 3000;
const PING_EVERY_MS = 4000;

/** Return a new DOM element. Texts are set as text, never as markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Return a random UUID; crypto.randomUUID is missing where a hub is served without https. */
function newEventId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/**
 * Messages to and from the kernel. `post` is sent once. `commit` is kept until it is acknowledged and is
 * sent again, in order, until then. `status()` says how many wait, what is wrong, and what was refused.
 * `onSaved` is told of each acknowledgement of something that waited.
 */
class Transport {
  constructor(model, { onMessage, onChange, onSaved = () => {} }) {
    this.model = model;
    this.onMessage = onMessage;
    this.onChange = onChange;
    this.onSaved = onSaved;
    this.waiting = []; // {event_id, messages, since, why}
    this.refused = []; // the kernel will never accept these as they are
    this.sendFailed = false;
    this.pingedAt = null;
    this.listener = (content, buffers) => this.receive(content, buffers);
    this.beforeUnload = (event) => {
      if (this.waiting.length || this.refused.length) event.preventDefault();
    };
  }

  start() {
    this.model.on("msg:custom", this.listener);
    window.addEventListener("beforeunload", this.beforeUnload);
    this.timers = [setInterval(() => this.check(), 500), setInterval(() => this.ping(), PING_EVERY_MS)];
  }

  stop() {
    this.model.off("msg:custom", this.listener);
    window.removeEventListener("beforeunload", this.beforeUnload);
    this.timers.forEach(clearInterval);
  }

  post(content) {
    try {
      this.model.send(content);
      this.sendFailed = false;
    } catch {
      this.sendFailed = true; // the kernel or its channel is gone
    }
  }

  commit(event_id, messages) {
    this.wait(event_id, messages);
    this.post(messages.at(-1)); // what comes before it was sent already; it is repeated with it when resent
    this.onChange();
  }

  /** Commit what was never sent, or was sent to another kernel. */
  commitWhole(event_id, messages) {
    this.wait(event_id, messages);
    messages.forEach((message) => this.post(message));
    this.onChange();
  }

  wait(event_id, messages) {
    const now = performance.now();
    this.waiting.push({ event_id, messages, since: now, sentAt: now, why: "" });
  }

  /** The first refused one leaves the queue, because the rater is going to decide about it. */
  takeRefused() {
    const taken = this.refused.shift() ?? null;
    this.onChange();
    return taken;
  }

  /** The first one that waits and does not get through is taken for refused. */
  giveUpFirst() {
    const entry = this.waiting[0];
    if (entry) this.refuse(entry, entry.why || "the kernel does not answer");
    this.onChange();
  }

  receive(content, buffers) {
    this.pingedAt = null; // whatever it says, the kernel is there
    if (content.kind === "ack") this.acknowledge(content);
    else if (content.kind === "nack") this.nack(content);
    else if (content.kind !== "pong") this.onMessage(content, buffers);
    this.onChange();
  }

  acknowledge(ack) {
    const waited = this.waiting.some((entry) => entry.event_id === ack.event_id);
    this.settle(ack.event_id);
    if (waited) this.onSaved(ack);
  }

  settle(event_id) {
    this.waiting = this.waiting.filter((entry) => entry.event_id !== event_id);
  }

  nack({ event_id, why, retry }) {
    const entry = this.waiting.find((each) => each.event_id === event_id);
    if (!entry) return;
    if (retry) entry.why = why;
    else this.refuse(entry, why);
  }

  /** Whatever replaces a refused one can never be accepted either: the kernel would wait for it for ever. */
  refuse(entry, why) {
    entry.why = why;
    this.settle(entry.event_id);
    this.refused.push(entry);
    const next = this.waiting.find((each) => each.messages.at(-1).replaces === entry.event_id);
    if (next) this.refuse(next, "the label that it replaces was not saved");
  }

  /** Send again what was not acknowledged in time. A resent event id is never a second row. */
  check() {
    const now = performance.now();
    for (const entry of this.waiting) {
      if (now - entry.sentAt < ACK_WAIT_MS) continue;
      entry.sentAt = now;
      entry.messages.forEach((message) => this.post(message));
    }
    this.onChange();
  }

  ping() {
    this.pingedAt ??= performance.now();
    this.post({ kind: "ping" });
  }

  status() {
    const now = performance.now();
    const late = this.waiting.find((entry) => entry.why || now - entry.since > ACK_WAIT_MS);
    const silent = this.pingedAt !== null && now - this.pingedAt > ACK_WAIT_MS;
    return {
      waiting: this.waiting.length,
      refused: this.refused[0] ?? null,
      late: late ? late.why || "the kernel does not answer" : "",
      gone: this.sendFailed || silent,
    };
  }
}
