// Labels that are not acknowledged, kept in the browser (IndexedDB) so that they outlive the page.
// Where the browser keeps nothing, everything works as it does without: labels wait in the page alone.

const READ_WITHIN_MS = 1000;

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function openLabels() {
  const request = indexedDB.open("qcbench", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("labels", { keyPath: "event_id" });
  return settled(request);
}

/** The outbox of one desk (a study and a rater); entries of other desks are never given out. */
class Outbox {
  constructor(page) {
    this.page = page;
    this.desk = null; // unknown until the kernel says it
    this.keeps = true; // false once the browser has refused
    this.newest = 0;
    // Privacy settings make indexedDB missing, throwing, or failing later.
    this.database = Promise.resolve().then(openLabels).catch(() => null);
  }

  /** Keep a label; nobody waits for this. The number orders labels of one page and of pages after it. */
  keep(event_id, messages, { aside = "" } = {}) {
    this.newest = Math.max(this.newest + 1, Date.now());
    const entry = { event_id, desk: this.desk, page: this.page, number: this.newest, messages, aside };
    this.ask("readwrite", (labels) => labels.put(entry)).then((key) => (this.keeps = key !== undefined));
  }

  remove(event_id) {
    return this.ask("readwrite", (labels) => labels.delete(event_id));
  }

  /** What is kept of this desk, oldest first; nothing when the browser does not answer. */
  async entries() {
    const late = new Promise((resolve) => setTimeout(resolve, READ_WITHIN_MS));
    const all = await Promise.race([this.ask("readonly", (labels) => labels.getAll()), late]);
    return (all ?? []).filter((entry) => entry.desk === this.desk).sort((one, other) => one.number - other.number);
  }

  async ask(mode, request) {
    const database = await this.database;
    if (!database || !this.desk) return undefined;
    try {
      return await settled(request(database.transaction("labels", mode).objectStore("labels")));
    } catch {
      return undefined;
    }
  }

  async close() {
    (await this.database)?.close();
  }
}
