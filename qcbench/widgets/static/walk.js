// The walk through the images: which positions wait, which were put off, which comes next, which was seen.

const WAITS = 0;
const LABELLED = 1;
const PUT_OFF = 2;
const PASSED = 3; // its picture cannot be shown

/** What is known of every position. The kernel begins it; this page goes on by what it did itself. */
class Walk {
  /** Labelled before: the first `cursor` positions; put off earlier: the last `n_deferred`. */
  constructor({ total, cursor, n_deferred = 0 }) {
    this.total = total;
    this.kinds = new Uint8Array(total).fill(LABELLED, 0, cursor).fill(PUT_OFF, total - n_deferred);
    this.putOff = Array.from({ length: n_deferred }, (_, place) => total - n_deferred + place);
    this.nLabelled = cursor;
    this.lowest = cursor; // no position below it waits
  }

  kind(position) {
    return this.kinds[position];
  }

  label(position) {
    this.mark(position, LABELLED);
  }

  /** Put an image off: it comes again after all others. */
  defer(position) {
    this.mark(position, PUT_OFF);
    this.putOff.push(position);
  }

  pass(position) {
    this.mark(position, PASSED);
  }

  /** What was taken for labelled or passed waits again. */
  wait(position) {
    this.mark(position, WAITS);
    this.lowest = Math.min(this.lowest, position);
  }

  mark(position, kind) {
    this.nLabelled += (kind === LABELLED) - (this.kinds[position] === LABELLED);
    if (this.kinds[position] === PUT_OFF) this.putOff = this.putOff.filter((each) => each !== position);
    this.kinds[position] = kind;
  }

  /** The first n positions to come: those that wait, then those put off, without the one on the screen. */
  upcoming(n, onScreen) {
    const found = [];
    while (this.lowest < this.total && this.kinds[this.lowest] !== WAITS) this.lowest += 1;
    for (let place = this.lowest; place < this.total && found.length < n; place += 1) {
      if (this.kinds[place] === WAITS && place !== onScreen) found.push(place);
    }
    return [...found, ...this.putOff.filter((place) => place !== onScreen)].slice(0, n);
  }

  /** Where to go now; `total` is the end. */
  next() {
    return this.upcoming(1)[0] ?? this.total;
  }

  nLeft() {
    return this.kinds.reduce((sum, kind) => sum + (kind === WAITS || kind === PUT_OFF), 0);
  }
}

/** The positions that were seen, as a browser keeps addresses: back goes along it, forward returns. */
class Trail {
  constructor() {
    this.past = [];
    this.future = [];
  }

  leave(position) {
    this.past.push(position);
    this.future = [];
  }

  /** The position seen before this one; without any, the one before it in the walk. */
  back(position) {
    const earlier = this.past.pop() ?? position - 1;
    this.future.push(position);
    return earlier;
  }

  /** The position that `back` left; undefined when there is none. */
  forth(position) {
    const later = this.future.pop();
    if (later !== undefined) this.past.push(position);
    return later;
  }

  /** The last n positions seen; before the first of them come those before it in the walk. */
  last(n, position) {
    const first = this.past[0] ?? position;
    const before = Array.from({ length: n }, (_, step) => first - 1 - step);
    const seen = new Set([...this.past.slice(-2 * n).reverse(), ...before]);
    return [...seen].filter((place) => place >= 0 && place !== position).slice(0, n);
  }
}
