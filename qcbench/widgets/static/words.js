// The language of the page. An English sentence is the key to itself in another language (words_french.js);
// one that is not found there is shown in English, so that a missing entry never hides anything.

const LANGUAGES = { en: { others: {}, told: {}, isOne: (n) => n === 1 }, fr: { others: FRENCH, told: FRENCH_TOLD, isOne: (n) => n < 2 } };

let language = "en";

/** Have all further words in a language of the protocol files. What is on the screen already stays as it is. */
function speak(code) {
  language = code in LANGUAGES ? code : "en";
}

/** Return a sentence in the language of the page; `{name}` in it becomes the value of that name. */
function t(english, values = {}) {
  return filled(LANGUAGES[language].others[english] ?? english, values);
}

/** The same for a sentence about n things, which has another form for one of them; `{n}` becomes their number. */
function tn(one, many, n, values = {}) {
  return t(LANGUAGES[language].isOne(n) ? one : many, { n, ...values });
}

/**
 * Return in the language of the page what the kernel, or a part that knows no language, says in English. Its
 * sentences come with their values in them, and a value may be such a sentence itself.
 */
function told(english) {
  const { told: entries } = LANGUAGES[language];
  if (Object.hasOwn(entries, english)) return filled(entries[english], {});
  for (const [key, other] of Object.entries(entries)) {
    const found = key.includes("{") && pattern(key).exec(english)?.groups;
    if (found) return filled(other, Object.fromEntries(Object.entries(found).map(([name, value]) => [name, told(value)])));
  }
  return english;
}

/** Return the expression that a sentence with these placeholders matches. */
function pattern(key) {
  const parts = key.split(/\{(\w+)\}/).map((part, number) => (number % 2 ? `(?<${part}>.+)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${parts.join("")}$`, "s");
}

function filled(sentence, values) {
  return typographic(sentence).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** In French no line begins with a colon or ends with an opening quotation mark. */
function typographic(sentence) {
  return language === "fr" ? sentence.replace(/ (?=[:;?!»])/g, "\u00a0").replace(/« /g, "«\u00a0") : sentence;
}

/** A number as it is written in the language of the page. */
function numeral(text) {
  return language === "fr" ? text.replace(".", ",") : text;
}

/** What Intl takes for the language of the page; in English the browser's own kind of English. */
function locale() {
  return language === "en" ? [] : language;
}
