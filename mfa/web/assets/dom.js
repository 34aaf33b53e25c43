// What every view needs of the document: elements, texts in the person's
// language, the card that shows one view at a time.
import { enter } from "./back.js";

export const settings = JSON.parse(document.getElementById("data").textContent);

const card = document.getElementById("card");
const live = document.getElementById("live");

// t is the text called key, with {names} replaced by values.
export function t(key, values = {}) {
  return settings.texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// h makes an element. A property whose value is a function listens to the
// event of that name; false and undefined leave an attribute out.
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value !== false && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child));
  return element;
}

const svg = "http://www.w3.org/2000/svg";

// icon shows one of the page's symbols, for the eye alone.
export function icon(name) {
  const picture = document.createElementNS(svg, "svg");
  const use = document.createElementNS(svg, "use");
  use.setAttribute("href", "#" + name);
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  picture.append(use);
  return picture;
}

let leaving = new AbortController();

// show replaces the view and returns a signal that ends with it, for timers
// and polls to stop by. The focus goes to the element marked data-focus, else
// to the heading, so that a screen reader begins where the view does.
export function show(view, heading, ...nodes) {
  leaving.abort();
  leaving = new AbortController();
  const title = h("h1", { id: "title", tabindex: "-1" }, heading);
  card.dataset.view = view;
  card.removeAttribute("aria-busy");
  card.replaceChildren(...[nodes[0] && nodes[0].matches?.(".disc") ? nodes.shift() : "", title, ...nodes.flat()].filter((node) => node));
  document.title = heading + " · " + settings.title;
  if (card.querySelector("[data-back]")) {
    enter();
  }
  (card.querySelector("[data-focus]") || title).focus();
  return leaving.signal;
}

// sign is the round picture above a heading.
export const sign = (name, kind = "") => h("div", { class: "disc " + kind }, icon(name));

// announce has screen readers say what the eye sees happen.
export function announce(text) {
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = text; });
}

// notice is where a view says what went wrong.
export function notice() {
  const box = h("p", { class: "notice bad", id: "detail", role: "alert" });
  return Object.assign(box, { say(text) { box.textContent = text; } });
}

// button is one to press; back says that the browser's Back presses it too.
export const button = (text, click, kind = "", back = false) =>
  h("button", { type: "button", class: kind, "data-back": back, click }, text);

export const backButton = (click) => button(t("back"), click, "plain", true);

// choice is one row of a list of things to choose from.
export const choice = (name, text, hint, click, id, back = false) => h("li", {},
  h("button", { type: "button", class: "choice", id, "data-back": back, click }, icon(name),
    h("span", {}, h("strong", {}, text), hint && h("small", {}, hint)), icon("next")));

// once lets run be pressed again only after it is done, and shows that it
// works.
export function once(element, run) {
  let busy = false;
  return async (...given) => {
    if (busy) {
      return;
    }
    busy = true;
    element.setAttribute("aria-disabled", "true");
    try {
      await run(...given);
    } finally {
      busy = false;
      element.removeAttribute("aria-disabled");
    }
  };
}

// every runs tick at once and then each time that ms have passed, until
// signal ends or tick returns false.
export async function every(ms, signal, tick) {
  while (!signal.aborted && await tick() !== false) {
    await new Promise((next) => { setTimeout(next, ms); });
  }
}

// span is a number of seconds as people say it: hours and minutes, and the
// last minute in seconds. It rounds up, so that nobody comes too early.
export function span(seconds) {
  const say = (n, unit) => n > 0 && new Intl.NumberFormat(settings.lang, { style: "unit", unit, unitDisplay: "long" }).format(n);
  const minutes = Math.ceil(seconds / 60);
  const parts = seconds < 60 ? [say(seconds, "second")] : [say(Math.floor(minutes / 60), "hour"), say(minutes % 60, "minute")];
  return new Intl.ListFormat(settings.lang, { type: "unit" }).format(parts.filter(Boolean));
}

export const day = (time) => new Date(time).toLocaleDateString(settings.lang, { dateStyle: "medium" });
export const moment = (time) => new Date(time).toLocaleString(settings.lang, { dateStyle: "medium", timeStyle: "short" });

const systems = [["iPhone", /iPhone/], ["iPad", /iPad/], ["Android", /Android/], ["Windows", /Windows/], ["Mac", /Mac OS/], ["Linux", /Linux/]];
const browsers = [["Edge", /Edg/], ["Opera", /OPR/], ["Firefox", /Firefox|FxiOS/], ["Chrome", /Chrome|CriOS/], ["Safari", /Safari/]];
const named = (list, agent) => list.find(([, pattern]) => pattern.test(agent))?.[0] || "";

// system and browser are what a User-Agent calls itself, "" when that is
// not known.
export const system = (agent) => named(systems, agent);
export const browser = (agent) => named(browsers, agent);

// ask puts a question before what cannot be undone, or asks for a text. It
// returns "" when the person thinks better of it, else the text or "yes".
export function ask({ title, text, action, danger, value, label }) {
  return new Promise((resolve) => {
    const input = value !== undefined && h("input", { id: "answer", maxlength: "64", required: true, autocomplete: "off" });
    const dialog = h("dialog", { "aria-labelledby": "question", close: () => {
      resolve(dialog.returnValue && (input ? input.value.trim() : "yes"));
      dialog.remove();
    } },
    h("form", { method: "dialog" },
      h("h2", { id: "question" }, title),
      text && h("p", { class: "lead" }, text),
      input && h("p", { class: "field" }, h("label", { for: "answer" }, label), input),
      h("div", { class: "pair" },
        h("button", { type: "submit", formnovalidate: true, value: "", class: "quiet", id: "dialog-cancel" }, t("cancel")),
        h("button", { type: "submit", value: "yes", class: danger ? "danger" : "", id: "dialog-go" }, action))));
    // The Enter key in the field means the action, not the first button.
    input && input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        dialog.querySelector("#dialog-go").click();
      }
    });
    document.body.append(dialog);
    enter();
    dialog.showModal();
    if (input) {
      input.value = value;
      input.select();
    }
  });
}
