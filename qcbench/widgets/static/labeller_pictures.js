// The pictures around the one on the screen: asked for ahead, decoded ahead, and let go of.

const ASK_AGAIN_MS = 3000;

/** Return once what was put into the document has been on the screen for a frame. */
function twoFrames() {
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}

class Pictures {
  constructor({ post, onDecoded }) {
    this.post = post;
    this.onDecoded = onDecoded;
    this.byPosition = new Map(); // position -> {key, img, label, error}
    this.askedAt = 0;
  }

  /** `total` images; `ahead` and `behind` say how many beside the current one are held. */
  begin({ total, ahead, behind }) {
    Object.assign(this, { total, ahead, behind });
  }

  get(position) {
    return this.byPosition.get(position);
  }

  forget(position) {
    this.byPosition.delete(position);
  }

  /** Hold the pictures around a position: the nearest ones ahead are asked for first. */
  around(position) {
    this.position = position;
    for (const place of this.byPosition.keys()) if (!this.near().includes(place)) this.forget(place);
    const missing = this.near().filter((place) => !this.byPosition.has(place));
    if (!missing.length) return;
    this.askedAt = performance.now();
    this.post({ kind: "goto", position, missing });
  }

  /** A message may be lost: what was asked for and did not come is asked for again. */
  askAgain() {
    if (this.position === undefined) return; // not begun yet
    if (performance.now() - this.askedAt > ASK_AGAIN_MS) this.around(this.position);
  }

  near() {
    const { position, ahead, behind, total } = this;
    const forth = Array.from({ length: ahead + 1 }, (_, step) => position + step);
    const back = Array.from({ length: behind }, (_, step) => position - 1 - step);
    return [...forth, ...back].filter((place) => place >= 0 && place < total);
  }

  async receive({ position, key, label, error }, buffers) {
    if (this.byPosition.has(position) || !this.near().includes(position)) return;
    const picture = { key, label, error };
    this.byPosition.set(position, picture);
    if (!error) await this.decode(picture, buffers[0]);
    this.onDecoded(position);
  }

  async decode(picture, png) {
    picture.img = new Image();
    picture.img.alt = "sagittal, coronal and axial slice";
    picture.img.draggable = false;
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
