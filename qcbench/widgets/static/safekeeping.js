// What becomes of labels that are not saved yet: kept in the browser, sent again by a later page, or set aside.

class Safekeeping {
  constructor(transport, onChange) {
    const page = newEventId();
    this.transport = transport;
    this.onChange = onChange;
    this.outbox = new Outbox(page);
    this.presence = new Presence(page, onChange);
    this.aside = new Map(); // event_id -> {event_id, messages, aside, number}
  }

  get keeps() {
    return Boolean(this.outbox.desk) && this.outbox.keeps;
  }

  keep(event_id, messages) {
    this.outbox.keep(event_id, messages);
  }

  /** It is on the disk, or was noted anew, or is thrown away. */
  release(event_id) {
    this.outbox.remove(event_id);
    if (this.aside.delete(event_id)) this.onChange();
  }

  /** A label that the kernel refused for good: out of the way, never silently. */
  setAside({ event_id, messages, why }) {
    this.aside.set(event_id, { event_id, messages, aside: why, number: Date.now() });
    this.outbox.keep(event_id, messages, { aside: why });
    this.onChange();
  }

  sendAgain(event_id) {
    const { messages } = this.aside.get(event_id);
    this.aside.delete(event_id);
    this.outbox.keep(event_id, messages);
    this.transport.commitWhole(event_id, messages);
  }

  /**
   * Send again what pages of this desk left behind that are no more, in order; return how many labels
   * that are. Pages that are alive send theirs themselves.
   */
  async takeOver(desk) {
    this.outbox.desk = desk ?? null;
    this.presence.join(desk);
    const asking = this.presence.ask();
    const entries = await this.outbox.entries();
    for (const entry of entries) if (entry.aside) this.aside.set(entry.event_id, entry);
    const left = entries.filter((entry) => !entry.aside);
    if (!left.length) return 0;
    const alive = await asking;
    const orphans = left.filter((entry) => !alive.has(entry.page));
    for (const { event_id, messages } of orphans) {
      this.outbox.keep(event_id, messages); // it is this page's now, and no third one takes it
      this.transport.commitWhole(event_id, messages);
    }
    return orphans.length;
  }

  stop() {
    this.presence.leave();
    this.outbox.close();
  }
}
