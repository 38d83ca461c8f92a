// The page of `vecsearch serve`: no framework, no build step, nothing from other sites.
// All that comes from documents is put in as text, never as HTML.
import { WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const state = { name: "", info: null, language: "en", hits: [], asked: null, request: 0, counts: 0, points: null, at: null, waiting: 0 };

const word = (key) => WORDS[state.language][key] ?? WORDS.en[key] ?? key;

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  return element;
}

function translate() {
  document.documentElement.lang = state.language;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", word(element.dataset.label));
  }
  $("question").placeholder = word("question");
}

// --- the server ---------------------------------------------------------------------------------

class Refused extends Error {
  constructor(message, status, hint) { super(message); this.status = status; this.hint = hint; }
}

// JSON with whole numbers of any size: those beyond 2^53 are BigInts here, or they would change.
const LARGE = `large${Math.random().toString(36).slice(2)}:`;
const WRITTEN = new RegExp(`"${LARGE}(-?\\d+)"`, "g");
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function read(text) {
  const isLarge = (token) => /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));
  const kept = text.replace(TOKENS, (token) => (isLarge(token) ? `"${LARGE}${token}"` : token));
  return JSON.parse(kept, (_, value) => (
    typeof value === "string" && value.startsWith(LARGE) ? BigInt(value.slice(LARGE.length)) : value));
}

function write(value) {
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${LARGE}${part}` : part));
  return text.replace(WRITTEN, "$1");
}

// While answers are awaited, the page says that it is busy: what it shows may be of an earlier question.
function wait(change) {
  state.waiting += change;
  document.querySelector("main").setAttribute("aria-busy", String(state.waiting > 0));
}

async function call(path, body) {
  wait(1);
  try { return await answerOf(path, body); } finally { wait(-1); }
}

async function answerOf(path, body) {
  const headers = {};
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/v1/${path}`, {
      method: body === undefined ? "GET" : "POST", headers,
      body: body === undefined ? undefined : write(body),
    });
  } catch { throw new Refused(word("failed"), 0); }
  const answer = await response.text().then(read).catch(() => ({}));
  if (!response.ok) {
    if (response.status === 401) $("key").hidden = false;
    throw new Refused(answer.error?.message ?? response.statusText, response.status, answer.error?.hint);
  }
  return answer;
}

const inCollection = (verb, body) =>
  call(`collections/${encodeURIComponent(state.name)}${verb}`, body);

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

async function guarded(work) {
  try { return await work(); } catch (error) {
    if (!(error instanceof Refused)) throw error;
    state.request += 1; // what is under way is no answer to this
    say(error.message, true);
    suggest(error.message);
    return null;
  }
}

// A column's name that was mistyped in the filter, as a button that mends it.
function suggest(message) {
  const found = /'([^']+)'.*did you mean '([^']+)'/.exec(message);
  if (!found || !$("filter").value.includes(found[1])) return;
  $("status").append(" ", make("button", `${word("replace")} ${found[1]} → ${found[2]}`, {
    type: "button", onclick: () => {
      $("filter").value = $("filter").value.replaceAll(found[1], found[2]);
      run();
    },
  }));
}

// --- the collection -----------------------------------------------------------------------------

const KINDS = [[/list/, "kindList"], [/struct|map|json/, "kindObject"], [/string|utf8/, "kindText"],
  [/^u?int|^decimal/, "kindInteger"], [/float|double|halffloat/, "kindNumber"], [/bool/, "kindTruth"],
  [/timestamp/, "kindTime"], [/date/, "kindDate"]];

const kindOf = (type) => (KINDS.find(([pattern]) => pattern.test(type)) ?? [, type])[1];

function columns() {
  const own = new Set(["vector", "_norm", "digest", "pages"]);
  return Object.entries(state.info.columns).filter(([name, type]) =>
    !own.has(name) && !name.startsWith("_") && !/fixed_size_list/.test(type));
}

// Pictures themselves are large: where there are thumbnails, these are asked for instead.
function wanted() {
  const binary = (name) => /binary/.test(state.info.columns[name]);
  const all = columns().map(([name]) => name);
  if (!state.info.text_columns.some(binary)) return {};
  return { columns: all.filter((name) => name === "thumbnail" || !binary(name) || !all.includes("thumbnail")) };
}

const quoted = (name) => (/^[a-z_][a-z0-9_]*$/i.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

async function openCollection(name) {
  state.name = name; state.counts += 1; state.points = null; state.at = null;
  $("filter").value = "";
  const info = await guarded(() => inCollection(""));
  if (!info) return;
  state.info = info;
  showColumns();
  const words = info.full_text.length > 0;
  $("mode-field").hidden = !words;
  const model = info.embedder !== null; // without one, only words can be looked for
  for (const option of $("mode").options) option.disabled = option.value !== "text" && !model;
  if (!words) $("mode").value = "vector";
  else if (!model) $("mode").value = "text";
  $("question").disabled = !model && !words;
  showFacts(info);
  $("results").replaceChildren(); state.hits = [];
  say("");
  await showFirst();
  await showFacets();
}

function showColumns() {
  const list = $("column-list"); list.replaceChildren();
  $("columns").replaceChildren();
  for (const [column, type] of columns()) {
    const button = make("button", `${column} (${word(kindOf(type))})`, {
      type: "button", onclick: () => addToFilter(starter(column, type)),
    });
    list.append(button, " ");
    $("columns").append(make("option", null, { value: starter(column, type) }));
  }
}

// Before a question: the first documents, so that there is something to see and to start from.
async function showFirst() {
  const names = columns().map(([name]) => name), mine = state.name, request = ++state.request;
  if (!names.length) return;
  const where = $("filter").value.trim() || null;
  const answer = await guarded(() =>
    inCollection("/rows", { columns: names, where, limit: Number($("count").value) || 10 }));
  if (!answer || mine !== state.name || request !== state.request) return;
  $("results").replaceChildren(...answer.rows.map((row) => card(row, null)));
  say(answer.rows.length ? word("first") : word("nothing"));
}

function starter(column, type) {
  const kind = kindOf(type), name = quoted(column);
  if (kind === "kindText") return `${name} = ''`;
  if (kind === "kindList") return `array_contains(${name}, '')`;
  if (kind === "kindTruth") return `${name} IS TRUE`;
  if (kind === "kindDate" || kind === "kindTime") return `${name} >= '2024-01-01'`;
  if (kind === "kindObject") return `${name} IS NOT NULL`;
  return `${name} >= 0`;
}

function addToFilter(condition) {
  const field = $("filter"), now = field.value.trim();
  const either = pieces(now).some((piece, at) => at % 2 === 0 && /\sOR\s/i.test(piece));
  field.value = now ? `${either ? `(${now})` : now} AND ${condition}` : condition;
  field.focus();
  const at = field.value.lastIndexOf("''");
  if (at >= 0) field.setSelectionRange(at + 1, at + 1);
}

// A filter divided at its quotes: each second piece is a text or a name in them.
const pieces = (filter) => filter.split(/('(?:[^']|'')*'|"(?:[^"]|"")*")/);

// The filter's conditions, as far as this page put them there.
function conditions() {
  const found = [""];
  pieces($("filter").value).forEach((piece, at) => {
    const [first, ...others] = at % 2 ? [piece] : piece.split(/\sAND\s/i);
    found[found.length - 1] += first;
    found.push(...others);
  });
  return found.map((each) => each.trim()).filter(Boolean);
}

function toggle(condition) {
  const now = conditions();
  if (now.includes(condition)) $("filter").value = now.filter((each) => each !== condition).join(" AND ");
  else addToFilter(condition);
}

function showFacts(info) {
  const list = $("facts-list"), recall = info.recall, measured = recall.measured;
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const facts = [
    ["documents", info.documents.toLocaleString()], ["rows", info.rows.toLocaleString()],
    ["size", `${(info.bytes / 1e6).toFixed(1)} MB`], ["model", info.embedder ?? word("noModel")],
    ["vectors", `${info.dim} ${word("numbers")}, ${info.metric}`],
    ["target", percent(recall.target)], ["promised", percent(recall.promised)],
    ["measured", measured
      ? `${percent(measured.recall)} (${percent(measured.low)} – ${percent(measured.high)}; ` +
        `${measured.queries} ${word("queries")}, ${measured.how})`
      : word("notYet")],
    ["index", info.indexes.map((each) => `${each.recipe}, ${each.rows.toLocaleString()}`).join("; ")
      || word("noIndex")],
  ];
  list.replaceChildren(...facts.flatMap(([key, value]) => [make("dt", word(key)), make("dd", value)]));
  $("versions").replaceChildren(...[...info.versions].reverse().map((each) => {
    const row = make("tr");
    row.append(make("td", each.version), make("td", new Date(each.created).toLocaleString(state.language)),
      make("td", each.operation), make("td", each.documents.toLocaleString()));
    return row;
  }));
}

// --- facets -------------------------------------------------------------------------------------

const literal = (value) => (typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value));

async function showFacets() {
  const named = columns().filter(([name, type]) =>
    ["kindText", "kindInteger", "kindTruth"].includes(kindOf(type)) &&
    ![state.info.id_column, ...state.info.text_columns, "source", "title"].includes(name)).slice(0, 6);
  const box = $("facets"); box.replaceChildren();
  if (!named.length) return;
  const where = $("filter").value.trim() || null, mine = ++state.counts;
  const answer = await guarded(() =>
    inCollection("/facets", { columns: named.map(([name]) => name), where, limit: 8 }));
  if (!answer || mine !== state.counts) return; // others were asked for since
  box.replaceChildren();
  for (const [column] of named) {
    const values = answer.facets[column];
    const condition = ({ value }) =>
      value === null ? `${quoted(column)} IS NULL` : `${quoted(column)} = ${literal(value)}`;
    // One value says nothing, unless it was chosen and can be given up here.
    if (values.length < 2 && !values.some((each) => conditions().includes(condition(each)))) continue;
    const items = make("ul");
    for (const { value, count } of values) {
      const item = make("li"), chosen = condition({ value });
      item.append(make("button", value === null ? word("missing") : String(value).trim() || word("empty"), {
        type: "button", "aria-pressed": String(conditions().includes(chosen)),
        onclick: () => { toggle(chosen); run(); },
      }), make("span", count.toLocaleString()));
      items.append(item);
    }
    box.append(make("h2", column), items);
  }
}

// --- searching ----------------------------------------------------------------------------------

async function run() {
  const query = $("question").value.trim();
  if (!query) {
    state.hits = []; state.asked = null;
    const latest = state.request + 1;
    await showFirst(); await showFacets();
    if (answered() && state.request <= latest) say(word("emptyQuestion")); // nothing came since
    return;
  }
  const body = {
    query, k: Number($("count").value) || 10, where: $("filter").value.trim() || null,
    plan: true, highlight: true, ...wanted(),
  };
  if (state.info.full_text.length) body.mode = $("mode").value;
  await show("/search", body, "");
}

const moreLike = (id) => show("/similar", {
  id, k: Number($("count").value) || 10, where: $("filter").value.trim() || null, plan: true, ...wanted(),
}, `${word("like")} ${id}: `);

const answered = () => !$("status").classList.contains("bad");

async function show(verb, body, prefix) {
  const request = ++state.request;
  say(word("searching"));
  const answer = await guarded(() => inCollection(verb, body));
  if (!answer || request !== state.request) return;
  state.hits = answer.hits;
  state.asked = body;
  const highlights = answer.highlights ?? [];
  $("results").replaceChildren(...answer.hits.map((hit, at) => card(hit, highlights[at])));
  say(answer.hits.length
    ? `${prefix}${answer.hits.length} ${word("found")}; ${answer.plan.text}` : word("nothing"));
  $("results").focus({ preventScroll: true });
  await showFacets();
  if ($("map-box").open) drawMap();
}

// Offsets count characters as Python does; JavaScript counts some of them twice.
function marked(highlight) {
  const letters = Array.from(highlight.text), [start, end] = highlight.sentence;
  const edges = new Set([0, letters.length, start, end]);
  for (const [first, last] of highlight.words) { edges.add(first); edges.add(last); }
  const sorted = [...edges].sort((a, b) => a - b), paragraph = make("p", null, { class: "text", dir: "auto" });
  const mark = make("mark");
  for (let i = 0; i + 1 < sorted.length; i += 1) {
    const [from, to] = [sorted[i], sorted[i + 1]];
    const text = letters.slice(from, to).join("");
    const isWord = highlight.words.some(([first, last]) => first <= from && to <= last);
    const inside = start <= from && to <= end;
    if (inside && !paragraph.contains(mark)) paragraph.append(mark);
    (inside ? mark : paragraph).append(isWord ? make("b", text) : text);
  }
  return paragraph;
}

function plain(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? write(value) : String(value);
}

function card(hit, highlight) {
  const { id_column: idColumn, text_columns: texts } = state.info;
  const item = make("li"), article = make("article"), id = hit[idColumn];
  const head = make("h2");
  head.append(hit.rank ? `${hit.rank}. ` : "", make("bdi", plain(hit.title ?? id)), " ");
  if (typeof hit.score === "number") {
    head.append(make("span", `${word("score")} ${hit.score.toFixed(3)}`, { class: "small" }));
  }
  if (highlight?.page) head.append(make("span", ` ${word("page")} ${highlight.page}`, { class: "small" }));
  article.append(head);
  const picture = hit.thumbnail ?? texts.map((name) => hit[name]).find((value) => /^(\/9j\/|iVBOR)/.test(value));
  if (typeof picture === "string" && /^(\/9j\/|iVBOR)/.test(picture)) {
    const kind = picture.startsWith("iVBOR") ? "png" : "jpeg";
    article.append(make("img", null, { class: "thumbnail", alt: plain(id), src: `data:image/${kind};base64,${picture}` }));
  }
  if (highlight) article.append(marked(highlight));
  else for (const name of texts) if (hit[name] && hit[name] !== picture) article.append(make("p", plain(hit[name]), { class: "text", dir: "auto" }));
  const skip = new Set(["rank", "score", "span", "title", "digest", "pages", "thumbnail", "vector", ...texts]);
  if (!hit.title) skip.add(idColumn);
  const fields = Object.entries(hit).filter(([name, value]) => !skip.has(name) && value !== null);
  if (fields.length) {
    const list = make("p", null, { class: "fields" });
    fields.forEach(([name, value], at) => list.append(at ? " · " : "",
      make("span", `${name}: `), make("bdi", plain(value).slice(0, 300))));
    article.append(list);
  }
  const why = make("div", null, { class: "why", hidden: "" });
  const button = make("button", word("why"), { type: "button", "aria-expanded": "false", onclick: () => {
    why.hidden = !why.hidden;
    button.setAttribute("aria-expanded", String(!why.hidden));
    button.textContent = word(why.hidden ? "why" : "whyNot");
    if (!why.childNodes.length) explain(why, id);
  } });
  const actions = make("p", null, { class: "actions" });
  actions.append(make("button", word("more"), { type: "button", onclick: () => moreLike(id) }));
  if (hit.rank) actions.append(button);
  article.append(actions, why);
  item.append(article);
  return item;
}

// What the search itself says: the words and sentences that carried the score, and the plan.
async function explain(box, id) {
  const { highlight: _, id: like, columns: __, ...asked } = state.asked;
  if (like !== undefined) asked.like = like;
  delete asked.plan;
  box.append(make("p", word("searching")));
  const found = await guarded(() => inCollection("/explain", { ...asked, id }));
  box.replaceChildren();
  if (!found) { box.append(make("p", $("status").textContent)); return; }
  const parts = Object.entries(found.parts).map(([name, part]) =>
    `${word(name)}: ${part.rank ? `${word("rank")} ${part.rank}` : word("beyond")}, ${word("score")} ${(part.score ?? 0).toFixed(4)}`);
  box.append(make("p", parts.join(" · ")));
  const [sentence] = found.sentences;
  if (sentence) {
    box.append(make("p", word("sentence"), { class: "small" }), weighed(sentence, found.words));
    const best = found.words.filter((each) => each.weight > 0).slice(0, 5);
    const line = make("p");
    line.append(`${word("carried")} `);
    best.forEach((each, at) => line.append(at ? ", " : "", make("bdi", each.text), ` ${each.weight.toFixed(3)}`));
    if (best.length) box.append(line);
  }
  const because = found.because.filter((each) => each.id !== null).map((each) => plain(each.id));
  if (because.length) box.append(make("p", `${word("because")} ${because.join(", ")}`));
  if (found.shared.length) box.append(make("p", `${word("shared")} ${found.shared.slice(0, 5).map(plain).join(", ")}`));
  const matched = Object.entries(found.matches).filter(([, spans]) => spans.length)
    .map(([column, spans]) => `${column} (${spans.length})`);
  if (matched.length) box.append(make("p", `${word("matched")} ${matched.join(", ")}`));
  box.append(make("p", found.plan, { class: "small" }));
}

// A sentence whose words are marked as strongly as they carried the score.
function weighed(sentence, words) {
  const letters = Array.from(sentence.text), best = Math.max(...words.map((each) => each.weight), 0);
  const quote = make("blockquote", null, { dir: "auto" });
  let at = 0;
  for (const each of [...words].sort((a, b) => a.span.start - b.span.start)) {
    const start = each.span.start - sentence.span.start, end = each.span.end - sentence.span.start;
    if (start < at || end > letters.length || each.weight <= 0) continue;
    quote.append(letters.slice(at, start).join(""));
    const mark = make("mark", letters.slice(start, end).join(""));
    mark.style.setProperty("--strength", `${Math.round(100 * each.weight / (best || 1))}%`);
    quote.append(mark);
    at = end;
  }
  quote.append(letters.slice(at).join(""));
  return quote;
}

// --- the map ------------------------------------------------------------------------------------

async function drawMap() {
  if (!state.points) {
    const answer = await guarded(() => inCollection("/map"));
    if (!answer) return;
    state.points = answer.points;
  }
  const canvas = $("map"), pen = canvas.getContext("2d"), ink = getComputedStyle(document.documentElement);
  const xs = state.points.map((p) => p.x), ys = state.points.map((p) => p.y);
  const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
  const place = (p) => [
    10 + (canvas.width - 20) * (p.x - low[0]) / (high[0] - low[0] || 1),
    10 + (canvas.height - 20) * (p.y - low[1]) / (high[1] - low[1] || 1)];
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const found = new Map(state.hits.map((hit) => [hit[state.info.id_column], hit.rank]));
  pen.fillStyle = ink.getPropertyValue("--soft"); pen.globalAlpha = 0.45;
  for (const p of state.points) if (!found.has(p.id)) { const [x, y] = place(p); pen.fillRect(x - 1.5, y - 1.5, 3, 3); }
  pen.globalAlpha = 1; pen.fillStyle = ink.getPropertyValue("--link"); pen.font = "13px system-ui";
  for (const p of state.points) {
    if (!found.has(p.id)) continue;
    const [x, y] = place(p);
    pen.beginPath(); pen.arc(x, y, 5, 0, 7); pen.fill();
    const left = x > canvas.width - 30;
    pen.textAlign = left ? "right" : "left";
    pen.fillText(String(found.get(p.id)), left ? x - 7 : x + 7, y + 4);
  }
  const nearestTo = (event) => {
    const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
    const at = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const distance = (p) => { const [x, y] = place(p); return (x - at[0]) ** 2 + (y - at[1]) ** 2; };
    return state.points.length ? state.points.reduce((a, b) => (distance(a) <= distance(b) ? a : b)) : null;
  };
  canvas.onclick = (event) => { const near = nearestTo(event); if (near) moreLike(near.id); };
  canvas.onkeydown = (event) => stepOnMap(event, place, pen);
  canvas.onmousemove = (event) => {
    const near = nearestTo(event);
    $("map-point").textContent = near ? plain(near.id) : counted;
  };
  canvas.onmouseleave = () => { $("map-point").textContent = counted; };
  const counted = `${state.points.length.toLocaleString()} ${word("points")}`;
  $("map-point").textContent = counted;
}

// The arrow keys go from point to point, to the right and left or down and up.
const STEPS = { ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowDown: ["y", 1], ArrowUp: ["y", -1] };

async function stepOnMap(event, place, pen) {
  if (event.key === "Enter" && state.at) { moreLike(state.at.id); return; }
  if (!(event.key in STEPS) || !state.points.length) return;
  event.preventDefault();
  const [axis, step] = STEPS[event.key], sorted = [...state.points].sort((a, b) => a[axis] - b[axis]);
  const at = sorted.indexOf(state.at), last = sorted.length - 1;
  state.at = sorted[at < 0 ? (step > 0 ? 0 : last) : Math.min(Math.max(at + step, 0), last)];
  await drawMap();
  const [x, y] = place(state.at);
  pen.strokeStyle = pen.fillStyle; pen.lineWidth = 2;
  pen.beginPath(); pen.arc(x, y, 8, 0, 7); pen.stroke();
  $("map-point").textContent = plain(state.at.id);
}

// --- start --------------------------------------------------------------------------------------

async function start() {
  const answer = await guarded(() => call("collections"));
  if (!answer) return;
  $("key").hidden = true;
  $("collection").replaceChildren(...answer.collections.map((each) => make("option", each.name, { value: each.name })));
  if (answer.collections.length) await openCollection(answer.collections[0].name);
}

state.language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
const theme = localStorage.getItem("theme") ?? "auto";
$("language").value = state.language; $("theme").value = theme;
document.documentElement.dataset.theme = theme;
translate();
$("language").addEventListener("change", async (event) => {
  state.language = event.target.value; localStorage.setItem("language", state.language);
  translate();
  if (!state.info) return;
  showFacts(state.info);
  showColumns();
  if ($("map-box").open) drawMap();
  if (state.hits.length) await run();
  else { await showFirst(); await showFacets(); }
});
$("theme").addEventListener("change", (event) => {
  localStorage.setItem("theme", event.target.value);
  document.documentElement.dataset.theme = event.target.value;
  if ($("map-box").open) drawMap(); // in the colors of the theme
});
$("collection").addEventListener("change", (event) => openCollection(event.target.value));
$("clear").addEventListener("click", () => { $("filter").value = ""; run(); });
$("search").addEventListener("submit", (event) => { event.preventDefault(); run(); });
$("key").addEventListener("submit", (event) => {
  event.preventDefault(); sessionStorage.setItem("key", $("key-value").value); start();
});
$("map-box").addEventListener("toggle", () => { if ($("map-box").open) drawMap(); });
start();
