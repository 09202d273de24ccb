// The pictures that are shown next or were seen last: asked for ahead, decoded ahead, and let go of.

const ASK_AGAIN_MS = 3000;
const MOST_ASKED = 6; // of one message, by the kernel

/** Return once what was put into the document has been on the screen for a frame. */
function twoFrames() {
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}

class Pictures {
  constructor({ post, onReady }) {
    this.post = post;
    this.onReady = onReady;
    this.clear();
  }

  clear() {
    this.wanted = [];
    this.byPosition = new Map(); // position -> {key, img, label, error, ready, and what else the kernel says of it}
    this.askedAt = 0;
  }

  /** The picture of a position when it can be shown at once, decoded; else undefined. */
  get(position) {
    const picture = this.byPosition.get(position);
    return picture?.ready ? picture : undefined;
  }

  forget(position) {
    this.byPosition.delete(position);
  }

  /** Hold these positions and no others; what is missing is asked for, in this order. */
  hold(positions) {
    const [position] = positions;
    this.position = position;
    this.wanted = positions.filter((place, number) => positions.indexOf(place) === number);
    for (const place of this.byPosition.keys()) if (!this.wanted.includes(place)) this.forget(place);
    this.ask();
  }

  ask() {
    const missing = this.wanted.filter((place) => !this.byPosition.has(place)).slice(0, MOST_ASKED);
    if (!missing.length) return;
    this.askedAt = performance.now();
    this.post({ kind: "goto", position: this.position, missing });
  }

  /** A message may be lost: what was asked for and did not come is asked for again. */
  askAgain() {
    if (performance.now() - this.askedAt > ASK_AGAIN_MS) this.ask();
  }

  async receive({ kind, position, error, ...about }, buffers) {
    if (this.byPosition.has(position) || !this.wanted.includes(position)) return;
    const picture = { ...about, error, ready: false };
    this.byPosition.set(position, picture);
    if (!error) await this.decode(picture, buffers[0]);
    picture.ready = true;
    if (this.byPosition.get(position) === picture) this.onReady(position, picture);
  }

  async decode(picture, png) {
    picture.img = new Image();
    picture.img.alt = t("sagittal, coronal and axial slice");
    picture.img.draggable = false;
    picture.img.decoding = "sync"; // the frame that shows it waits for it rather than showing nothing
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    picture.img.src = url;
    try {
      await picture.img.decode();
    } catch {
      picture.error = "the picture cannot be decoded; tell the coordinator";
    } finally {
      URL.revokeObjectURL(url); // the element keeps what it has loaded
    }
  }
}
