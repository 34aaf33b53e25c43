// The self-service page. A gate sends people here with return_to, where they
// want to go, and what it demands; without it they come to manage what they
// have.
import { byCookie, call, explain, onEnd, signedOut } from "./api.js";
import { leave } from "./back.js";
import { offerCodes } from "./codes.js";
import * as caller from "./caller.js";
import { button, h, settings, show, sign, t } from "./dom.js";
import { addChoices, enrol } from "./enrol.js";
import { manage } from "./manage.js";
import { accepts, askFactor, withFactor } from "./verify.js";

// Before anything else: the token leaves the address bar. It counts for
// nothing until it is known that no cookie speaks for somebody.
let fragment = caller.takeFragment();

const query = new URLSearchParams(location.search);
const demanded = { acr: query.get("acr_values") || "", methods: (query.get("methods") || "").split(" ").filter(Boolean) };

// back is where the person came from: a path of this origin, or "".
const back = (() => {
  const path = query.get("return_to") || "";
  if (!/^\/(?![/\\])/.test(path) || caller.embedded) {
    return "";
  }
  try {
    const target = new URL(path, location.origin);
    return target.origin === location.origin ? target.href : "";
  } catch {
    return ""; // no URL at all, such as one of a tab between two slashes
  }
})();

let waiting = true; // for somebody to be signed in
let known = false; // whether somebody was

async function start() {
  waiting = false;
  if (fragment && settings.cookie) {
    const known = await byCookie();
    if (known.status === 200) {
      fragment = ""; // a link does not turn a signed-in person into another
      caller.drop();
    } else if (!signedOut(known)) {
      fail(known); // who is signed in cannot be told just now
      return;
    }
  }
  if (fragment) {
    caller.take(fragment);
    fragment = "";
  }
  const status = await call("GET", "status");
  if (status.status !== 200) {
    fail(status);
    return;
  }
  known = true;
  if (!back) {
    await care(status.data);
  } else if (bounced() && status.data.sessionVerified) {
    problem("bounced", t("bouncedTitle"), t("bounced"), button(t("tryAgain"), () => forGate(status.data)));
  } else {
    await forGate(status.data);
  }
}

// care is for people who come by themselves.
async function care(status) {
  for (;;) {
    const refused = status.isEnabled ? await manage(status.said) : null;
    if (refused) {
      fail(refused);
      return;
    }
    const result = await enrol();
    if (result?.failure) {
      fail(result.failure);
      return;
    }
    status = { isEnabled: true, said: t("addedNow") };
  }
}

let bare = false; // whether a factor was set up in this visit, and brought no backup codes

// forGate is for people who want to go through a gate.
async function forGate(status) {
  let shown = false;
  if (!status.isEnabled) {
    const result = await enrol({ demanded, lead: t("requiredLead") });
    if (result.failure) {
      fail(result.failure);
      return;
    }
    shown = result.session;
    bare = result.bare;
  } else {
    shown = await askFactor(status, { demanded, instead: await instead(status) });
  }
  if (shown) {
    if (bare) {
      await offerCodes(withFactor);
    }
    await goBack();
    return;
  }
  const again = await call("GET", "status");
  if (again.status === 200) {
    await forGate(again.data);
  } else {
    fail(again);
  }
}

// instead offers to set up what is demanded to who has no such thing.
async function instead(status) {
  if (status.enabledMethods.some((type) => accepts(demanded, type)) || status.backupCodesRemaining && accepts(demanded, "BACKUP_CODE", status.backupCodesAcr)) {
    return null;
  }
  const methods = await call("GET", "methods");
  if (methods.status !== 200) {
    return null;
  }
  const types = methods.data.filter((one) => one.isAvailable && accepts(demanded, one.type)).map((one) => one.type);
  return addChoices(types, async (type) => {
    const result = await enrol({ type, demanded });
    if (result?.failure) {
      fail(result.failure);
    } else if (result?.session) {
      if (result.bare) {
        await offerCodes(withFactor);
      }
      await goBack();
    } else {
      bare = Boolean(result?.bare);
      await forGate(status);
    }
  });
}

// A visit to this page right after it sent the person away, for the same
// thing and with a session that goes on, says that something else keeps them
// out: the circle ends here, and the page says so. What is remembered is when they
// were sent, and for what, as a number that tells nothing.
const mark = "mfa:sent";
const number = (text) => [...text].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) | 0, 7);

function bounced() {
  try {
    const [at, what] = (sessionStorage.getItem(mark) || "").split(" ");
    sessionStorage.removeItem(mark);
    return Number(what) === number(location.search) && Date.now() - Number(at) < 10000;
  } catch {
    return false; // no storage, and no loop either: each visit asks for a press
  }
}

async function goThere() {
  try {
    sessionStorage.setItem(mark, Date.now() + " " + number(location.search));
  } catch {
    // See bounced.
  }
  await leave();
  location.replace(back);
}

// goBack sends a person who has shown a factor back to where they came from,
// if they can be recognised there.
async function goBack() {
  if (caller.embedded) {
    caller.tell("mfa:done");
    show("done", t("doneTitle"), sign("check", "good"), h("p", { class: "lead" }, t("doneLead")));
    return;
  }
  const seen = await byCookie();
  if (seen.status === 0 || seen.data?.sessionVerified) {
    await goThere();
  } else if (!caller.handed()) {
    noCookie();
  } else if (await gated()) {
    show("done", t("doneTitle"), sign("check", "good"), h("p", { class: "lead" }, t("doneHanded")));
  } else {
    await goThere();
  }
}

// gated tells whether the way back needs an access token in a cookie, which
// who handed one over has not.
async function gated() {
  try {
    const response = await fetch(back, { method: "HEAD", credentials: "same-origin", cache: "no-store", redirect: "manual" });
    return response.status === 401;
  } catch {
    return false;
  }
}

function problem(view, heading, text, ...more) {
  show(view, heading, sign("warn", "bad"), h("p", { class: "lead" }, text), more);
}

function noCookie() {
  problem("no-cookie", t("noCookieTitle"), t(isSecureContext ? "noCookie" : "noHTTPS"), button(t("tryAgain"), start));
}

// loginURL is where to sign in. A login that leaves return_to empty is told
// where to come back to.
function loginURL() {
  const url = new URL(settings.login);
  if (url.searchParams.get("return_to") === "") {
    url.searchParams.set("return_to", location.href);
  }
  return url.href;
}

const login = () => settings.login && !caller.embedded && h("a", { class: "button", href: loginURL(), id: "login" }, t("signIn"));

function fail(result) {
  if (result.code === "insufficient_user_authentication") {
    problem("sign-in", t("oldTitle"), t("oldLead"), login());
    return;
  }
  problem("failed", t("failedTitle"), explain(result), button(t("tryAgain"), start));
}

// renew is for a sign-in that has ended, or never was. An app around this
// page may have another token, with which the person just goes on.
async function renew(result) {
  if (result.token !== caller.authorization()) {
    return true; // it has come meanwhile
  }
  if (caller.handed()) {
    caller.drop();
    if (await caller.another()) {
      return true;
    }
  }
  waiting = true;
  show("signed-out", t(known || result.code === "invalid_token" ? "expiredTitle" : "signedOutTitle"), sign("shield"),
    h("p", { class: "lead" }, t(settings.login ? "signedOutLogin" : "signedOutLead", { title: settings.title })), login());
  return false;
}

let renewal = null; // one for all requests that find the same

onEnd((result) => renewal ??= renew(result).finally(() => { renewal = null; }));
caller.listen(() => {
  if (waiting) {
    start();
  }
});
addEventListener("hashchange", () => {
  const token = caller.takeFragment();
  if (token) {
    fragment = token;
    start();
  }
});
addEventListener("online", () => document.getElementById("card").dataset.view === "failed" && start());
caller.hello();
start();
