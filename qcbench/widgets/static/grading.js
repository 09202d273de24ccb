// What the answers amount to, by the protocol: what is asked, what is unset, which tier, the same again. Pure.
// The kernel checks every label by the same rules (criteria.py, protocol.py); here they are for the eye.

/** Verdicts are in English unless the page gives `say`, the function that knows its language. */
class Grading {
  constructor(protocol, say = inEnglish) {
    this.protocol = protocol;
    this.say = say;
    this.byName = new Map(protocol.criteria.map((criterion) => [criterion.name, criterion]));
  }

  endsLabel(name) {
    return Boolean(this.byName.get(name)?.ends_label);
  }

  ended(answers) {
    return Object.entries(answers).some(([name, value]) => value === true && this.endsLabel(name));
  }

  /** The answers as they are shown: null, no flags, and a "no" to what would end the label are no answers. */
  shown(answers) {
    const isAnswer = ([name, value]) => value !== null && value !== undefined && value.length !== 0 && !(value === false && this.endsLabel(name));
    return Object.fromEntries(Object.entries(answers ?? {}).filter(isAnswer));
  }

  /** The answers after a choice was pressed: a flag goes on or off, and so does what may stay unset. */
  chosen(answers, name, value) {
    const { kind, required, choices } = this.byName.get(name);
    if (kind === "flags") {
      const on = new Set(answers[name]);
      if (!on.delete(value)) on.add(value);
      return this.noted(answers, name, choices.map((choice) => choice.value).filter((flag) => on.has(flag)));
    }
    return this.noted(answers, name, !required && answers[name] === value ? null : value);
  }

  /** The answers after one more; what ends a label stands alone, and gives way to any other answer. */
  noted(answers, name, value) {
    const criterion = this.byName.get(name);
    if (criterion.ends_label) return value ? { [name]: value } : this.withoutEnds(answers);
    const others = this.withoutEnds(answers);
    if (!this.isAsked(criterion, others)) return answers;
    return this.withoutUnasked(this.shown({ ...others, [name]: asStored(criterion, value) }));
  }

  /** The level after some steps; the first step of an unset one leads to the middle of its scale. */
  stepped(answers, name, steps) {
    const { minimum, maximum, step } = this.byName.get(name);
    const middle = (minimum + maximum) / 2;
    return answers[name] === undefined ? middle : Math.min(Math.max(answers[name] + steps * step, minimum), maximum);
  }

  withoutEnds(answers) {
    return Object.fromEntries(Object.entries(answers).filter(([name]) => !this.endsLabel(name)));
  }

  /** An answer is dropped when its condition ceases to hold; a condition names a criterion further up. */
  withoutUnasked(answers) {
    const kept = { ...answers };
    for (const criterion of this.protocol.criteria) if (!this.isAsked(criterion, kept)) delete kept[criterion.name];
    return kept;
  }

  isAsked({ only_when }, answers) {
    return !only_when || only_when[1].includes(answers[only_when[0]]);
  }

  /** Why a criterion takes no answer now, in words. */
  whenAsked(name) {
    const { label, only_when } = this.byName.get(name);
    const [condition, values] = only_when;
    const criterion = this.byName.get(condition);
    const answers = values.map((value) => wordsOf(criterion, value)).join(t(" or "));
    return t("{label} is asked only when {criterion} is {answers}.", { label, criterion: criterion.label.toLowerCase(), answers });
  }

  /** The criteria without which the label is not whole. */
  unset(answers) {
    if (this.ended(answers)) return [];
    const isMissing = (criterion) => criterion.required && !criterion.ends_label && answers[criterion.name] === undefined;
    return this.protocol.criteria.filter((criterion) => isMissing(criterion) && this.isAsked(criterion, answers));
  }

  same(answers, others) {
    const names = new Set([...Object.keys(answers), ...Object.keys(others)]);
    return [...names].every((name) => isEqual(answers[name], others[name]));
  }

  /** The tier and the rule that gave it, or what is still missing; without tiers, where the first level lies. */
  verdict(answers) {
    const ended = this.ended(answers) && Object.keys(answers).find((name) => this.endsLabel(name));
    if (ended) return [this.byName.get(ended).label, this.protocol.tier_rules.length ? this.say("no grades, no tier") : this.say("nothing else is noted")];
    const unset = this.unset(answers);
    const missing = unset.length ? this.say("not set: {names}", { names: this.names(unset) }) : "";
    const whole = missing ? this.say("Not complete") : this.say("Complete");
    if (!this.protocol.tier_rules.length) return [this.bandOfFirst(answers) ?? whole, missing || this.say("complete")];
    if (this.protocol.tier_criteria.some((name) => answers[name] === undefined)) return [this.say("Tier {tier}", { tier: "–" }), missing];
    const worst = Math.max(...this.protocol.tier_criteria.map((name) => answers[name]));
    const rule = this.protocol.tier_rules.find((each) => worst >= each.when_any_at_least);
    return [this.say("Tier {tier}", { tier: rule.tier }), rule.wording];
  }

  /** The name of the band of the first level that has bands, "–" while it is unset; undefined without such a level. */
  bandOfFirst(answers) {
    const criterion = this.protocol.criteria.find((each) => each.bands?.length);
    return criterion && (bandOf(criterion, answers[criterion.name]) || `${criterion.label} –`);
  }

  names(criteria) {
    return criteria.map((criterion) => criterion.label.toLowerCase()).join(", ");
  }

  /** A whole label in words: "motion 2 severe, contrast 0 good". */
  inWords(answers, comment) {
    const noted = Object.entries(this.shown(answers)).map(([name, value]) => {
      const criterion = this.byName.get(name);
      return `${(criterion?.label ?? name).toLowerCase()} ${criterion ? wordsOf(criterion, value) : value}`;
    });
    return [...noted, ...(comment ? [quoted(comment)] : [])].join(", ");
  }
}

function inEnglish(sentence, values = {}) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A label's words before the colon, and those behind it, which explain them. */
function wordAndRest(label) {
  const [word, ...rest] = label.split(/\s*: /);
  return [word, rest.join(": ")];
}

function quoted(words) {
  return t("“{words}”", { words });
}

function isEqual(value, other) {
  return JSON.stringify(value) === JSON.stringify(other);
}

/** The answer as the kernel stores it: a level on its step, a text without blanks around it. */
function asStored(criterion, value) {
  if (value === null || value === undefined) return null;
  if (criterion.kind === "level") return onStep(criterion, value);
  // Characters are counted as the kernel counts them; length counts some twice.
  if (criterion.kind === "text") return [...value.trim()].slice(0, criterion.longest).join("").trim();
  return value;
}

/** The nearest value on the scale. 1 + 3 * 0.05 is 1.1500000000000001; what is kept reads as it is shown. */
function onStep({ minimum, maximum, step }, value) {
  const steps = Math.min(Math.max(Math.round((value - minimum) / step), 0), Math.round((maximum - minimum) / step));
  return Number((minimum + steps * step).toFixed(10));
}

/** The name of the part of the scale in which a level lies; empty without bands or value. */
function bandOf({ bands }, value) {
  if (value === undefined) return "";
  return bands?.find(({ below }) => below === null || value < below)?.label ?? "";
}

/** A level with as many decimals as a step of it has. */
function levelText({ step }, value) {
  return value.toFixed(String(step).split(".")[1]?.length ?? 0);
}

/** One answer in a word or two: "2 severe", "no", "3.10", "head motion + coil failure". */
function wordsOf(criterion, value) {
  const word = (each) => wordAndRest(criterion.choices.find((choice) => choice.value === each)?.label ?? String(each))[0];
  if (criterion.kind === "level") return numeral(levelText(criterion, value));
  if (criterion.kind === "flags") return value.map(word).join(" + ");
  if (criterion.kind === "text") return quoted(value);
  return criterion.kind === "grade" ? `${value} ${word(value)}` : word(value);
}
