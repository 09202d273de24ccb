// Which other pages of the same desk are alive: they ask each other over a channel of the browser.

const ANSWER_WITHIN_MS = 150;

class Presence {
  constructor(page, onChange) {
    this.page = page;
    this.onChange = onChange;
    this.others = new Set();
    this.answered = new Set();
  }

  /** Pages of another study or rater are on another channel and do not hear this one. */
  join(desk) {
    if (!desk || this.channel || typeof BroadcastChannel === "undefined") return;
    this.channel = new BroadcastChannel(`qcbench ${desk}`);
    this.channel.onmessage = ({ data }) => this.hear(data);
    this.leaving = () => this.say("gone");
    window.addEventListener("pagehide", this.leaving);
  }

  hear({ kind, page }) {
    if (kind === "who") this.say("here");
    if (kind === "gone") this.others.delete(page);
    else for (const pages of [this.others, this.answered]) pages.add(page);
    this.onChange();
  }

  say(kind) {
    this.channel?.postMessage({ kind, page: this.page });
  }

  /** Return the pages that are alive now; one that crashed said no farewell and only fails to answer. */
  async ask() {
    this.answered = new Set();
    this.say("who");
    await new Promise((resolve) => setTimeout(resolve, ANSWER_WITHIN_MS));
    this.others = this.answered;
    this.onChange();
    return this.others;
  }

  leave() {
    if (!this.channel) return;
    this.say("gone");
    window.removeEventListener("pagehide", this.leaving);
    this.channel.close();
    this.channel = null;
  }
}
