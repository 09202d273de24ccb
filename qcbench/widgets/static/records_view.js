// What the records amount to, as tables: nothing here can be changed.

const NOTHING = "–";
const MODALITIES = ["T1w", "T2w", "bold"];

const counted = (n) => (n ? n.toLocaleString("en") : NOTHING);
const many = (n, one, more = `${one}s`) => `${(n ?? 0).toLocaleString("en")} ${n === 1 ? one : more}`;
const onDay = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** Return a table; a column is [head, cell of a row, whether it is a number]. */
function recordsTable(caption, columns, rows) {
  const head = element("tr", {}, ...columns.map(([name, , isNumber]) => element("th", { scope: "col", class: isNumber && "qc-number", text: name })));
  const body = rows.map((row) => element("tr", {}, ...columns.map(([, cell, isNumber], place) =>
    element(place ? "td" : "th", { scope: place ? undefined : "row", class: isNumber && "qc-number", text: cell(row) }))));
  return element("table", {}, element("caption", { text: caption }), element("thead", {}, head), element("tbody", {}, ...body));
}

const ofEach = (names) => names.map((name) => [name === "rating" ? "ratings" : name, (row) => counted(row.n[name]), true]);

function modalitiesTable({ modalities }) {
  const rows = Object.entries(modalities).map(([modality, n]) => ({ modality, ...n }));
  return recordsTable("Records", [
    ["modality", (row) => row.modality],
    ["records", (row) => counted(row.records), true],
    ["files", (row) => counted(row.files), true],
    ["flagged", (row) => counted(row.flagged), true],
  ], rows);
}

function clientsTable({ clients }) {
  return recordsTable("Who sent them", [["client", (row) => row.client], ...ofEach([...MODALITIES, "rating"]), ["last", (row) => onDay(row.last)]], clients);
}

function daysTable({ days }) {
  return recordsTable("By day (UTC)", [["day", (row) => row.day], ...ofEach([...MODALITIES, "rating"])], days);
}

function flagsTable({ flags }) {
  return recordsTable("What is flagged: records that have it", [
    ["flag", (row) => row.code],
    ["of", (row) => row.field],
    ...ofEach([...MODALITIES, "rating"]),
    ["what it means", (row) => row.meaning],
  ], flags);
}

function ratingsPart({ links, waiting }) {
  const words = `${many(links.linked, "rating")} linked to an image, ${links.waiting.toLocaleString("en")} waiting for one, ${links.unlinked.toLocaleString("en")} that name none.`;
  const table = recordsTable("Images that ratings wait for: no record of the file has come", [
    ["MD5 of the file", (row) => row.file_md5],
    ["ratings", (row) => counted(row.n), true],
    ["since", (row) => onDay(row.since)],
  ], waiting);
  return element("section", {}, element("h3", { text: "Ratings" }), element("p", { text: words }), waiting.length ? table : null);
}

/** Return how the audit log is, as a short text and whether that is alarming. */
function auditWords(audit) {
  const at = audit.checked_at && new Date(audit.checked_at).toLocaleTimeString([], { timeStyle: "short" });
  return {
    whole: () => [audit.head.sequence ? `✓ audit log whole, ${many(audit.head.sequence, "entry", "entries")} (checked ${at})` : "✓ audit log empty", false],
    broken: () => [`✕ AUDIT LOG BROKEN: ${many(audit.n_faults, "fault")} (checked ${at})`, true],
    failed: () => [`✕ audit log not checked: ${audit.why}`, true],
  }[audit.state]?.() ?? ["… reading the audit log", false];
}

function auditPart(audit) {
  const { head, faults } = audit;
  if (!head) return null;
  const more = audit.n_faults - faults.length;
  const list = element("ul", { class: "qc-faults" }, ...faults.map((text) => element("li", { text })), more > 0 ? element("li", { text: `and ${more} more` }) : null);
  const words = faults.length ? "What does not fit, which nothing in qcbench does:" : "Every entry fits the one before it, and everything stored is what its entry told of.";
  const sealed = head.sequence ? `Last entry ${head.sequence}, ${head.sha256}` : "No entry yet";
  return element("section", {}, element("h3", { text: "Audit log" }), element("p", { text: words }), faults.length ? list : null, element("p", { class: "qc-dim", text: sealed }));
}

function overviewParts(state, audit) {
  if (!state.n_images && !state.n_ratings) {
    return [element("p", { class: "qc-nothing", text: "Nothing has come yet: qcbench records import STUDY FOLDER, or have MRIQC post to qcbench records serve STUDY." })];
  }
  const section = (...tables) => element("section", {}, ...tables);
  return [
    section(flagsTable(state)),
    element("div", { class: "qc-side-by-side" }, section(modalitiesTable(state)), section(clientsTable(state)), section(daysTable(state))),
    element("div", { class: "qc-side-by-side" }, ratingsPart(state), auditPart(audit)),
  ];
}
