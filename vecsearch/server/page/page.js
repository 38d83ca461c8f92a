// The page of `vecsearch serve`: no framework, no build step, nothing from other sites.
// All that comes from documents is put in as text, never as HTML.
import { WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const state = { name: "", info: null, language: "en", hits: [], request: 0, points: null };

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
  constructor(message, status) { super(message); this.status = status; }
}

async function call(path, body) {
  const headers = {};
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/v1/${path}`, {
      method: body === undefined ? "GET" : "POST", headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch { throw new Refused(word("failed"), 0); }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (response.status === 401) $("key").hidden = false;
    throw new Refused(answer.error?.message ?? response.statusText, response.status);
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
    say(error.message, true);
    return null;
  }
}

// --- the collection -----------------------------------------------------------------------------

const KINDS = [[/string|utf8/, "text"], [/^u?int|^decimal/, "integer"], [/float|double|halffloat/, "number"],
  [/bool/, "true/false"], [/timestamp/, "time"], [/date/, "date"], [/list/, "list"], [/struct|map|json/, "object"]];

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
  state.name = name; state.points = null;
  $("filter").value = "";
  const info = await guarded(() => inCollection(""));
  if (!info) return;
  state.info = info;
  const list = $("column-list"); list.replaceChildren();
  $("columns").replaceChildren();
  for (const [column, type] of columns()) {
    const button = make("button", `${column} (${kindOf(type)})`, {
      type: "button", onclick: () => addToFilter(starter(column, type)),
    });
    list.append(button, " ");
    $("columns").append(make("option", null, { value: starter(column, type) }));
  }
  const words = info.full_text.length > 0;
  $("mode-field").hidden = !words;
  if (!words) $("mode").value = "vector";
  $("question").disabled = info.text_columns.length === 0;
  showFacts(info);
  $("results").replaceChildren(); state.hits = [];
  say("");
  await showFacets();
}

function starter(column, type) {
  const kind = kindOf(type), name = quoted(column);
  if (kind === "text") return `${name} = ''`;
  if (kind === "list") return `array_contains(${name}, '')`;
  if (kind === "true/false") return `${name} IS TRUE`;
  if (kind === "date" || kind === "time") return `${name} >= '2024-01-01'`;
  if (kind === "object") return `${name} IS NOT NULL`;
  return `${name} >= 0`;
}

function addToFilter(condition) {
  const field = $("filter"), now = field.value.trim();
  field.value = now ? `${now} AND ${condition}` : condition;
  field.focus();
  const at = field.value.lastIndexOf("''");
  if (at >= 0) field.setSelectionRange(at + 1, at + 1);
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
    row.append(make("td", each.version), make("td", each.operation), make("td", each.documents.toLocaleString()));
    return row;
  }));
}

// --- facets -------------------------------------------------------------------------------------

const literal = (value) => (typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value));

async function showFacets() {
  const named = columns().filter(([name, type]) =>
    ["text", "integer", "true/false"].includes(kindOf(type)) &&
    ![state.info.id_column, ...state.info.text_columns, "source", "title"].includes(name)).slice(0, 6);
  const box = $("facets"); box.replaceChildren();
  if (!named.length) return;
  const where = $("filter").value.trim() || null, mine = state.name;
  const answer = await guarded(() =>
    inCollection("/facets", { columns: named.map(([name]) => name), where, limit: 8 }));
  if (!answer || mine !== state.name) return;
  for (const [column] of named) {
    const values = answer.facets[column];
    if (values.length < 2) continue;
    const items = make("ul");
    for (const { value, count } of values) {
      const item = make("li");
      const condition = value === null ? `${quoted(column)} IS NULL` : `${quoted(column)} = ${literal(value)}`;
      item.append(make("button", value === null ? word("missing") : String(value), {
        type: "button", onclick: () => { addToFilter(condition); run(); },
      }), make("span", count.toLocaleString()));
      items.append(item);
    }
    box.append(make("h2", column), items);
  }
}

// --- searching ----------------------------------------------------------------------------------

async function run() {
  const query = $("question").value.trim();
  if (!query) { say(word("emptyQuestion"), true); return; }
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

async function show(verb, body, prefix) {
  const request = ++state.request;
  say(word("searching"));
  const answer = await guarded(() => inCollection(verb, body));
  if (!answer || request !== state.request) return;
  state.hits = answer.hits;
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
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function card(hit, highlight) {
  const { id_column: idColumn, text_columns: texts } = state.info;
  const item = make("li"), article = make("article"), id = hit[idColumn];
  const head = make("h2", null, { dir: "auto" });
  head.append(`${hit.rank}. ${plain(hit.title ?? id)} `, make("span", `(${word("score")} ${hit.score.toFixed(3)})`, { class: "small" }));
  article.append(head);
  const picture = hit.thumbnail ?? texts.map((name) => hit[name]).find((value) => /^(\/9j\/|iVBOR)/.test(value));
  if (typeof picture === "string" && /^(\/9j\/|iVBOR)/.test(picture)) {
    const kind = picture.startsWith("iVBOR") ? "png" : "jpeg";
    article.append(make("img", null, { class: "thumbnail", alt: plain(id), src: `data:image/${kind};base64,${picture}` }));
  }
  if (highlight) article.append(marked(highlight));
  else for (const name of texts) if (hit[name] && hit[name] !== picture) article.append(make("p", plain(hit[name]), { class: "text", dir: "auto" }));
  const skip = new Set(["rank", "score", "span", "title", "digest", "pages", "thumbnail", "vector", ...texts]);
  const fields = Object.entries(hit).filter(([name, value]) => !skip.has(name) && value !== null);
  article.append(make("p", fields.map(([name, value]) => `${name}: ${plain(value).slice(0, 300)}`).join(" · "), { class: "fields", dir: "auto" }));
  const why = make("div", null, { class: "why", hidden: "" });
  const button = make("button", word("why"), { type: "button", "aria-expanded": "false", onclick: () => {
    why.hidden = !why.hidden;
    button.setAttribute("aria-expanded", String(!why.hidden));
    button.textContent = word(why.hidden ? "why" : "whyNot");
    if (!why.childNodes.length) explain(why, hit, highlight);
  } });
  article.append(make("button", word("more"), { type: "button", onclick: () => moreLike(id) }), " ", button, why);
  item.append(article);
  return item;
}

function explain(box, hit, highlight) {
  box.append(make("p", `${word("score")} ${hit.score}`));
  if (!highlight) return;
  const letters = Array.from(highlight.text), [start, end] = highlight.sentence;
  box.append(make("p", `${word("sentence")} ${letters.slice(start, end).join("")}`, { dir: "auto" }));
  const shared = [...new Set(highlight.words.map(([from, to]) => letters.slice(from, to).join("")))];
  box.append(make("p", `${word("shared")} ${shared.join(", ") || word("none")}`, { dir: "auto" }));
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
    pen.fillText(String(found.get(p.id)), x + 7, y + 4);
  }
  canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
    const at = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const distance = (p) => { const [x, y] = place(p); return (x - at[0]) ** 2 + (y - at[1]) ** 2; };
    const nearest = state.points.reduce((a, b) => (distance(a) <= distance(b) ? a : b));
    $("map-point").textContent = plain(nearest.id);
    moreLike(nearest.id);
  };
  $("map-point").textContent = `${state.points.length.toLocaleString()} ${word("points")}`;
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
  translate(); if (state.info) { showFacts(state.info); await showFacets(); if (state.hits.length) run(); }
});
$("theme").addEventListener("change", (event) => {
  localStorage.setItem("theme", event.target.value);
  document.documentElement.dataset.theme = event.target.value;
});
$("collection").addEventListener("change", (event) => openCollection(event.target.value));
$("search").addEventListener("submit", (event) => { event.preventDefault(); run(); });
$("key").addEventListener("submit", (event) => {
  event.preventDefault(); sessionStorage.setItem("key", $("key-value").value); start();
});
$("map-box").addEventListener("toggle", () => { if ($("map-box").open) drawMap(); });
start();
