"use strict";

// Lines of tokens: made, pointed at, walked through with the arrow keys.
// Text of the data becomes text of the page (textContent), never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);

// The letters of roles: a class of the style sheet, and what is written at a token.
const ROLES = {
  t: { name: "text", label: "" },
  s: { name: "special", label: "" },
  e: { name: "sentinel", label: "sentinel" },
  m: { name: "masked", label: "masked" },
  r: { name: "random", label: "random" },
  k: { name: "kept", label: "kept" },
  n: { name: "noise", label: "missing" },
  p: { name: "predicted", label: "predicted" },
  u: { name: "unknown", label: "unknown" },
};

const TOKENS_AT_ONCE = 400; // of a row; the others wait behind a button

/** An element with attributes and children; strings are text. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A line of tokens.
 *
 * name: of the line, for screen readers.
 * stream: {ids, roles}.
 * pieces: text by id.
 * was: id to be predicted, by position.
 * second: position of the first token of the second segment, 0 without.
 * begins: positions at which a further document begins.
 */
function tokenLine(name, stream, pieces, { was = {}, second = 0, begins = [] } = {}) {
  const list = make("ol", { class: "tokens", "aria-label": `${name}: ${stream.ids.length} tokens, arrow keys go from one to the next` });
  const starts = new Set(begins);
  const add = (from, to) => {
    for (let i = from; i < to; i++) {
      const role = ROLES[stream.roles[i]];
      const piece = pieces[stream.ids[i]];
      const item = make("li", { class: `token ${role.name}`, tabindex: i === 0 ? "0" : "-1" });
      const written = make("span", {}, make("bdi", {}, piece));
      if (starts.has(i)) written.prepend(make("span", { class: "mark" }, "¶"));
      if (second && i === second) written.prepend(make("span", { class: "mark" }, "B:"));
      item.append(written);
      const before = was[i] === undefined || was[i] === stream.ids[i] ? "" : pieces[was[i]];
      const label = [role.label, before && `was ${before}`].filter(Boolean).join(": ");
      if (label) item.append(make("small", {}, label));
      item.about = aboutToken(i, stream.ids[i], piece, role, was[i], pieces, second && i >= second);
      list.append(item);
    }
  };
  add(0, Math.min(TOKENS_AT_ONCE, stream.ids.length));
  const line = make("div", { class: "line" }, list);
  if (stream.ids.length > TOKENS_AT_ONCE) {
    const more = make("button", { type: "button" }, `Show the other ${stream.ids.length - TOKENS_AT_ONCE} tokens`);
    more.addEventListener("click", () => {
      add(TOKENS_AT_ONCE, stream.ids.length);
      list.children[TOKENS_AT_ONCE].focus();
      more.remove();
    });
    line.append(more);
  }
  return line;
}

function aboutToken(position, id, piece, role, was, pieces, inSecond) {
  const said = [`position ${position}`, `id ${id}`, `token ${piece}`];
  if (inSecond) said.push("segment B");
  if (role.name !== "text") said.push(role.name);
  if (was !== undefined) said.push(`to be predicted: ${pieces[was]}, id ${was}`);
  return said.join(" · ");
}

// One tip for all tokens.
const tip = make("div", { id: "tip", role: "status", hidden: "" });
document.body.append(tip);

function showTip(token) {
  tip.textContent = token.about;
  tip.hidden = false;
  const place = token.getBoundingClientRect();
  const left = Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = place.bottom + 6;
  const fits = below + tip.offsetHeight < window.innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${fits ? below : Math.max(8, place.top - tip.offsetHeight - 6)}px`;
}

const tokenOf = (event) => (event.target instanceof Element ? event.target.closest("li.token") : null);

function showTipOf(event) {
  const token = tokenOf(event);
  if (token) showTip(token);
  else tip.hidden = true;
}

document.addEventListener("mouseover", showTipOf);
document.addEventListener("focusin", showTipOf);
document.addEventListener("scroll", () => (tip.hidden = true), { passive: true });

// Of a line one token at a time can be reached with Tab; arrows go on from there.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
  const token = tokenOf(event);
  if (!token || event.ctrlKey || event.altKey || event.metaKey) return;
  const list = token.parentElement;
  const goal = {
    ArrowRight: token.nextElementSibling,
    ArrowLeft: token.previousElementSibling,
    Home: list.firstElementChild,
    End: list.lastElementChild,
  }[event.key];
  if (!goal) return;
  event.preventDefault();
  token.tabIndex = -1;
  goal.tabIndex = 0;
  goal.focus();
});
