"use strict";

// The browser of a dataset's rows, and the splits of a vocabulary.

const ROWS_A_PAGE = 8;
const MARKED = { m: "masked", r: "random", k: "kept", e: "sentinels", n: "missing tokens" };

/** A row's tokens before corruption; where `was` tells what they were, they follow from it. */
function originalOf(row) {
  if (!row.was) return row.original;
  const ids = row.inputs.ids.map((id, i) => row.was[i] ?? id);
  const roles = Array.from(row.inputs.roles, (role, i) => (i in row.was ? "p" : role));
  return { ids, roles: roles.join("") };
}

/** What a search goes through: the tokens apart, and the words they make. */
function searchText(row, pieces) {
  const streams = [originalOf(row), row.inputs, row.targets].filter(Boolean);
  const texts = streams.flatMap((stream) => stream.ids.map((id) => pieces[id]));
  const apart = texts.join(" ");
  const words = apart.replace(/ ##/g, "");
  const spaced = texts.join("").replace(/[Ġ▁]/g, " ");
  return `${apart}\n${words}\n${spaced}`.toLowerCase();
}

function counted(count, unit) {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function rowElement(row, pieces) {
  const counts = [counted(row.inputs.ids.length, "token")];
  if (row.targets) counts.push(`${row.targets.ids.length} in the target`);
  const predicted = Object.keys(row.was || {}).length;
  if (predicted) counts.push(`${predicted} to predict`);
  const about = [counts.join(", "), ...(row.about || [])].join("; ");
  const made = make("article", { class: "row" }, make("h4", {}, `Row ${row.number}`), make("p", { class: "about" }, about));
  const original = originalOf(row);
  const sides = make("div", { class: "sides" });
  const stream = (title, tokens, more) => [make("h5", {}, title), tokenLine(title, tokens, pieces, more)];
  const left = original || row.repeats ? "Corrupted" : row.targets ? "Input" : "As stored";
  const input = stream(left, row.inputs, row);
  const targets = row.targets ? stream(row.repeats ? "Original, and target" : "Target", row.targets) : [];
  if (original) {
    sides.append(make("div", {}, ...input, ...targets), make("div", {}, ...stream("Original", original)));
  } else {
    sides.append(make("div", {}, ...input));
    if (targets.length) sides.append(make("div", {}, ...targets));
  }
  made.append(sides);
  if (row.cut) made.append(make("p", { class: "sampled" }, "The row is longer; only its beginning is on this page."));
  return made;
}

function labelled(text, control) {
  return make("label", {}, make("span", {}, text), control);
}

function options(select, values) {
  for (const [value, text] of values) select.append(make("option", { value }, text));
  return select;
}

function documentOptions(rows, names) {
  const counts = new Map();
  for (const row of rows) {
    for (const number of new Set(row.documents || [])) counts.set(number, (counts.get(number) || 0) + 1);
  }
  return [...counts].sort((a, b) => a[0] - b[0]).map(([number, count]) => [
    String(number),
    `${names[number]} (${counted(count, "row")})`,
  ]);
}

function markOptions(rows) {
  const there = new Set();
  for (const row of rows) for (const letter of row.inputs.roles) there.add(letter);
  return Object.entries(MARKED).filter(([letter]) => there.has(letter)).map(([letter, text]) => [letter, `with ${text}`]);
}

function browse(place, { rows, pieces, documents, predicted }) {
  if (!rows.length) {
    place.append(make("p", {}, "There are no rows to show."));
    return;
  }
  let texts = null; // made when somebody searches for the first time
  let found = rows;
  let first = 0;
  const search = make("input", { type: "search", spellcheck: "false", autocomplete: "off" });
  const document_ = options(make("select"), [["", "any"], ...documentOptions(rows, documents)]);
  const mark = options(make("select"), [["", "any"], ...markOptions(rows)]);
  const controls = make("form", { class: "controls", role: "search", "aria-label": "Find examples" });
  controls.append(labelled("Text", search));
  if (document_.length > 1) controls.append(labelled("Document", document_));
  if (mark.length > 1) controls.append(labelled("Rows", mark));
  const back = make("button", { type: "button" }, "Previous");
  const on = make("button", { type: "button" }, "Next");
  const where = make("p", { class: "where", role: "status" });
  const list = make("div", { class: "rows" });
  place.append(legend(rows), controls, make("div", { class: "pages" }, back, on, where), list);
  if (predicted) list.before(make("p", {}, `What is predicted: ${predicted}.`));

  const show = () => {
    const shown = found.slice(first, first + ROWS_A_PAGE);
    list.replaceChildren(...shown.map((row) => rowElement(row, pieces)));
    // Not `disabled`, which would take the focus away from who turns pages with the keyboard.
    back.ariaDisabled = String(first === 0);
    on.ariaDisabled = String(first + ROWS_A_PAGE >= found.length);
    const range = shown.length ? `${first + 1} to ${first + shown.length} of ${found.length}` : "No row fits";
    where.textContent = found.length === rows.length ? range : `${range} (${rows.length} on this page)`;
  };
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    if (wanted && !texts) texts = new Map(rows.map((row) => [row, searchText(row, pieces)]));
    const number = document_.value && Number(document_.value);
    found = rows.filter(
      (row) =>
        (!wanted || texts.get(row).includes(wanted)) &&
        (number === "" || (row.documents || []).includes(number)) &&
        row.inputs.roles.includes(mark.value),
    );
    first = 0;
    show();
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  document_.addEventListener("change", filter);
  mark.addEventListener("change", filter);
  controls.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  back.addEventListener("click", () => turn(-ROWS_A_PAGE));
  on.addEventListener("click", () => turn(ROWS_A_PAGE));
  const turn = (by) => {
    if (first + by < 0 || first + by >= found.length) return;
    first += by;
    show();
  };
  show();
}

/** What the colours mean: those of the roles that occur. */
function legend(rows) {
  const there = new Set();
  for (const row of rows) {
    for (const stream of [row.inputs, row.targets, originalOf(row)]) {
      if (stream) for (const letter of stream.roles) there.add(letter);
    }
  }
  const list = make("ul", { class: "legend" });
  const meanings = {
    s: "put in by the template",
    e: "stands for a span",
    m: "hidden behind the mask",
    r: "replaced by a random token",
    k: "left as it is, and predicted all the same",
    n: "not in the input",
    p: "to be predicted",
  };
  for (const [letter, meaning] of Object.entries(meanings)) {
    if (!there.has(letter)) continue;
    const role = ROLES[letter];
    list.append(make("li", {}, make("span", { class: `token ${role.name} sample` }, role.label || role.name), ` ${meaning}`));
  }
  return list;
}

for (const place of document.querySelectorAll("[data-examples]")) {
  browse(place, DATA.examples[place.dataset.examples]);
}
for (const place of document.querySelectorAll("[data-splits]")) {
  const { rows, pieces } = DATA.splits[place.dataset.splits];
  for (const row of rows) {
    const about = counted(row.inputs.ids.length, "token");
    place.append(
      make("article", { class: "row" }, make("p", { class: "text", dir: "auto" }, row.text), make("p", { class: "about" }, about), tokenLine("split", row.inputs, pieces)),
    );
  }
}
