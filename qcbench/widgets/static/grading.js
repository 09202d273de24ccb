// What the answers amount to, by the protocol: what is unset, which tier, the same again. Pure.

class Grading {
  constructor(protocol) {
    this.protocol = protocol;
    this.byName = new Map(protocol.criteria.map((criterion) => [criterion.name, criterion]));
  }

  endsLabel(name) {
    return Boolean(this.byName.get(name)?.ends_label);
  }

  ended(answers) {
    return Object.keys(answers).some((name) => this.endsLabel(name));
  }

  /** The answers as they are shown: a "no" to what would end the label is no answer. */
  shown(answers) {
    return Object.fromEntries(Object.entries(answers ?? {}).filter(([name, value]) => value !== false || !this.endsLabel(name)));
  }

  /** The answers after one more; what ends a label stands alone, and gives way to any grade. */
  chosen(answers, name, value) {
    if (this.endsLabel(name)) return { [name]: value };
    const grades = Object.entries(answers).filter(([other]) => !this.endsLabel(other));
    return { ...Object.fromEntries(grades), [name]: value };
  }

  unset(answers) {
    if (this.ended(answers)) return [];
    return this.protocol.criteria.filter((criterion) => !criterion.ends_label && answers[criterion.name] === undefined);
  }

  same(answers, others) {
    const names = new Set([...Object.keys(answers), ...Object.keys(others)]);
    return [...names].every((name) => JSON.stringify(answers[name]) === JSON.stringify(others[name]));
  }

  /** The tier and the rule that gave it, or what is still missing. */
  verdict(answers) {
    const ended = Object.keys(answers).find((name) => this.endsLabel(name));
    if (ended) return [this.byName.get(ended).label, "no grades, no tier"];
    const unset = this.unset(answers);
    const missing = unset.length ? `not set: ${this.names(unset)}` : "";
    if (!this.protocol.tier_criteria.length) return [missing ? "Not complete" : "Complete", missing];
    if (this.protocol.tier_criteria.some((name) => answers[name] === undefined)) return ["Tier –", missing];
    const worst = Math.max(...this.protocol.tier_criteria.map((name) => answers[name]));
    const rule = this.protocol.tier_rules.find((each) => worst >= each.when_any_at_least);
    return [`Tier ${rule.tier}`, rule.wording];
  }

  names(criteria) {
    return criteria.map((criterion) => criterion.label.toLowerCase()).join(", ");
  }

  /** One answer in a word or two: "2 severe", "no". */
  word(name, value) {
    const criterion = this.byName.get(name);
    const choice = criterion?.choices.find((each) => each.value === value);
    const [word] = (choice?.label ?? String(value)).split(": ");
    return criterion?.kind === "grade" ? `${value} ${word}` : word;
  }

  /** A whole label in words: "motion 2 severe, contrast 0 good". */
  inWords(answers, comment) {
    const noted = Object.entries(this.shown(answers)).map(([name, value]) => `${(this.byName.get(name)?.label ?? name).toLowerCase()} ${this.word(name, value)}`);
    return [...noted, ...(comment ? [`“${comment}”`] : [])].join(", ");
  }
}
