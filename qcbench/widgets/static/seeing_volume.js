// The volume behind a picture: the same three panels, each at any slice. Slices come from the kernel as they are wanted.

const SLICES_AHEAD = 3;
const AXES = ["x", "y", "z"];

class OpenVolume {
  constructor({ post, onChange }) {
    this.post = post;
    this.onChange = onChange;
    this.begin({});
  }

  /** Another picture is on the screen. */
  begin({ key }) {
    this.key = key;
    this.isOpen = false;
    this.error = null;
    this.counts = null; // slices across each axis, known once the kernel has opened the volume
    this.plane = 2;
    this.direction = 1;
    this.numbers = [0, 0, 0];
    this.drawn = [null, null, null]; // the slice that each panel shows until the one that is wanted has come
    this.slices = new Map(); // "plane:number" -> picture, or null while it is on its way
    this.canvas = null;
  }

  open() {
    this.isOpen = true;
    if (this.counts) this.ask();
    else this.post({ kind: "volume", key: this.key });
  }

  close() {
    this.isOpen = false;
  }

  choose(plane) {
    this.plane = plane;
  }

  scroll(by) {
    if (!this.counts) return;
    this.direction = Math.sign(by);
    this.numbers[this.plane] = Math.min(Math.max(this.numbers[this.plane] + by, 0), this.counts[this.plane] - 1);
    this.ask();
  }

  /**
   * Ask for what the panels want to show, then for what comes next. One message at a time: whoever scrolls fast
   * gets the slice where they are, not all those that they have passed.
   */
  ask() {
    if ([...this.slices.values()].includes(null)) return;
    const lacks = (plane, number) => number >= 0 && number < this.counts[plane] && !this.slices.has(`${plane}:${number}`);
    const planes = [this.plane, 0, 1, 2].filter((plane) => lacks(plane, this.numbers[plane]));
    if (planes.length) return this.askFor(planes[0], [this.numbers[planes[0]]]);
    const ahead = Array.from({ length: SLICES_AHEAD }, (_, step) => this.numbers[this.plane] + this.direction * (step + 1));
    const wanted = ahead.filter((number) => lacks(this.plane, number));
    if (wanted.length) this.askFor(this.plane, wanted);
  }

  askFor(plane, numbers) {
    numbers.forEach((number) => this.slices.set(`${plane}:${number}`, null));
    this.post({ kind: "slices", key: this.key, plane, numbers });
    this.askedAt = performance.now();
  }

  /** A message may be lost: what did not come is asked for again. */
  askAgain() {
    if (!this.isOpen || performance.now() - (this.askedAt ?? 0) < ASK_AGAIN_MS) return;
    for (const [name, slice] of this.slices) if (slice === null) this.slices.delete(name);
    if (this.counts) this.ask();
    else if (!this.error) this.post({ kind: "volume", key: this.key });
    this.askedAt = performance.now();
  }

  async receive(content, buffers) {
    if (content.key !== this.key) return;
    if (content.kind === "volume") {
      this.error = content.error;
      if (!this.error && !this.counts) {
        this.counts = content.counts;
        this.start = content.start;
        this.numbers = [...content.start];
        this.origin_mm = content.origin_mm;
        this.ask();
      }
    } else {
      const { key, plane, number } = content;
      const picture = await createImageBitmap(new Blob([buffers[0]], { type: "image/png" }));
      if (key !== this.key) return;
      this.slices.set(`${plane}:${number}`, picture);
      if (this.isOpen) this.ask();
    }
    this.onChange();
  }

  /** The panels at their slices; one that has not come shows what was there before. */
  picture(img) {
    if (!this.canvas) {
      this.canvas = new OffscreenCanvas(PICTURE.width, PICTURE.height);
      this.canvas.getContext("2d").drawImage(img, 0, 0);
    }
    const context = this.canvas.getContext("2d");
    PANELS.forEach((panel, plane) => {
      const slice = this.slices.get(`${plane}:${this.numbers[plane]}`);
      if (!slice) return;
      context.drawImage(slice, panel.x, panel.y);
      this.drawn[plane] = this.numbers[plane];
    });
    return this.canvas;
  }

  /** Where the slice lies that a panel shows, with dots while another one is to come. */
  isDrawnAt(plane) {
    const drawn = this.drawn[plane] ?? this.start?.[plane];
    return `${this.where(plane, drawn)}${drawn === this.numbers[plane] ? "" : " …"}`;
  }

  where(plane, number = this.numbers[plane]) {
    if (!this.counts) return "";
    const mm = this.origin_mm[plane] + number;
    return `${AXES[plane]} ${numeral(String(mm))} mm`;
  }

  place() {
    if (this.error) return told(this.error);
    return this.counts ? this.where(this.plane) : t("opening");
  }
}
