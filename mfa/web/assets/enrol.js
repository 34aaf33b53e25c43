// Setting a factor up: choose one, prove it, keep the backup codes.
import { call, explain, post } from "./api.js";
import { copyButton, showCodes } from "./codes.js";
import { backButton, button, choice, every, h, notice, once, settings, show, sign, system, t } from "./dom.js";
import * as passkey from "./passkey.js";
import { accepts, codeForm, countdown, waiting, withFactor } from "./verify.js";

const order = ["PASSKEY", "GOOGLE_AUTH", "MAGIC_LINK"];

const views = {
  PASSKEY: ["key", "addPasskey", "addPasskeyHint", passkeyView],
  GOOGLE_AUTH: ["phone", "addApp", "addAppHint", appView],
  MAGIC_LINK: ["mail", "addLink", "addLinkHint", linkView],
};

// addChoices are the rows by which one of the types can be set up; taken
// gets the type.
export function addChoices(types, taken) {
  return order.filter((type) => types.includes(type)).map((type) => {
    const [picture, name, hint] = views[type];
    const row = choice(picture, t(name), t(hint), () => taken(type), "add-" + type);
    if (type === "PASSKEY" && !passkey.supported()) {
      row.querySelector("button").disabled = true;
      row.querySelector("small").textContent = t("passkeyUnsupported");
    }
    return row;
  });
}

// enrol leads through the setup of one factor: of type, or of one that the
// person chooses among those that meet what is demanded. It returns its
// type, whether a session begins with it, and whether it is bare of backup
// codes; null when the person chose not to.
export async function enrol({ type, demanded, lead } = {}) {
  const methods = await call("GET", "methods");
  if (methods.status !== 200) {
    return { failure: methods };
  }
  const types = methods.data.filter((one) => one.isAvailable && accepts(demanded, one.type)).map((one) => one.type);
  for (;;) {
    const chosen = type || await chooseView(types, lead);
    const result = await setUp(chosen);
    if (result && !result.failure) {
      return { type: chosen, session: result.session, bare: !result.codes };
    }
    if (result?.failure || type) {
      return result;
    }
  }
}

function chooseView(types, lead) {
  return new Promise((resolve) => {
    if (types.length === 0) {
      show("none", t("noneTitle"), sign("warn", "bad"), h("p", { class: "lead" }, t("noneLead")));
      return;
    }
    show("choose", t("chooseTitle"), sign("shield"), h("p", { class: "lead" }, lead || t("chooseLead", { title: settings.title })),
      h("ul", { class: "choices" }, addChoices(types, resolve)));
  });
}

// setUp sets one factor up. It returns null when the person went back.
async function setUp(type) {
  const result = await views[type][3]();
  if (!result || result.failure) {
    return result;
  }
  if (result.codes) {
    await showCodes(result.codes);
  }
  return result;
}

// valid returns the codes that came with a setup, unless its confirmation has
// made them void, as it does in a session that was not shown them.
const valid = ({ answer }, codes) => (answer.backupCodesVoid ? undefined : codes);

// begin begins a setup. It returns null when the person went back.
const begin = (body) => withFactor(() => post("setup", body));

async function appView() {
  const begun = await begin({ mfaType: "GOOGLE_AUTH" });
  if (!begun || begun.status !== 200) {
    return begun && { failure: begun };
  }
  const { secret, qrCode, otpauthUrl, backupCodes } = begun.data;
  const key = secret.replace(/(.{4})(?=.)/g, "$1 ");
  return new Promise((resolve) => {
    const { form } = codeForm({ label: t("appCode"), hint: t("appHint"), digits: true, later: true, action: t("verify"), send: async (code) => {
      const result = await post("verify-setup", { mfaType: "GOOGLE_AUTH", code });
      if (result.status === 200) {
        resolve({ codes: valid(result, backupCodes), session: true });
        return null;
      }
      if (result.code === "no_pending_setup") {
        resolve({ failure: result });
        return null;
      }
      return result;
    } });
    // A phone cannot scan its own screen.
    const touch = matchMedia("(pointer: coarse)").matches;
    show("setup-app", t("addApp"), sign("phone"),
      h("ol", { class: "steps" },
        h("li", {}, h("p", {}, t(touch ? "appOpen" : "appScan")),
          touch && h("p", {}, h("a", { class: "button quiet", href: otpauthUrl, id: "otpauth" }, t("openApp"))),
          h("p", { class: "qr" }, h("img", { src: qrCode, alt: t("qrAlt"), width: "200", height: "200" })),
          h("p", { class: "note" }, t("appKey")),
          h("p", { class: "secret" }, h("code", { id: "secret" }, key), copyButton(() => secret, "quiet small"))),
        h("li", {}, form)),
      backButton(() => resolve(null)));
  });
}

async function passkeyView() {
  // Begun at once, so that a factor is asked for before and not in between;
  // begun again with the name that the person gives.
  const first = await begin({ mfaType: "PASSKEY" });
  if (!first || first.status !== 200) {
    return first && { failure: first };
  }
  return new Promise((resolve) => {
    const detail = notice();
    const name = h("input", { id: "name", class: "wide", maxlength: "64", autocomplete: "off", "data-focus": true, "aria-describedby": "name-hint" });
    name.value = system(navigator.userAgent);
    const submit = h("button", { type: "submit" }, t("createPasskey"));
    const go = once(submit, async () => {
      detail.say("");
      const begun = await begin({ mfaType: "PASSKEY", deviceInfo: { name: name.value.trim() } });
      if (!begun || begun.status !== 200) {
        resolve(begun && { failure: begun });
        return;
      }
      let credential;
      try {
        credential = await passkey.create(begun.data.publicKey);
      } catch (error) {
        draw();
        detail.say(t(passkey.reason(error)));
        return;
      }
      const result = await post("verify-setup", { mfaType: "PASSKEY", credential });
      if (result.status === 200) {
        resolve({ codes: valid(result, begun.data.backupCodes), session: true });
        return;
      }
      draw();
      detail.say(explain(result));
    });
    const form = h("form", { novalidate: true, submit: (event) => {
      event.preventDefault();
      go();
    } },
    h("p", { class: "field" }, h("label", { for: "name" }, t("nameLabel")), name, h("small", { id: "name-hint" }, t("nameHint"))), detail, submit);
    // The view may have given way to a factor that was asked for.
    const draw = () => form.isConnected || show("setup-passkey", t("addPasskey"), sign("key"),
      h("p", { class: "lead" }, t("passkeyLead")), form, backButton(() => resolve(null)));
    draw();
  });
}

function linkView() {
  return new Promise((resolve) => {
    const detail = notice();
    const address = !settings.claimed && h("input", {
      id: "email", type: "email", class: "wide", autocomplete: "email", required: true, "data-focus": true, maxlength: "254", "aria-describedby": "detail",
    });
    const submit = h("button", { type: "submit", "data-focus": !address }, t("sendLink"));
    const go = once(submit, async () => {
      detail.say("");
      const email = address ? address.value.trim() : undefined;
      const begun = await begin({ mfaType: "MAGIC_LINK", email });
      if (begun && begun.status === 200) {
        await inbox(begun.data, resolve, draw);
        return;
      }
      if (!begun) {
        resolve(null);
        return;
      }
      draw();
      detail.say(begun.code === "invalid_request" ? t(address ? "badAddress" : "noAddress") : explain(begun));
    });
    const form = h("form", { novalidate: true, submit: (event) => {
      event.preventDefault();
      if (address && !address.checkValidity()) {
        detail.say(t("badAddress"));
        address.focus();
        return;
      }
      go();
    } },
    address && h("p", { class: "field" }, h("label", { for: "email" }, t("emailLabel")), address), detail, submit);
    const draw = () => form.isConnected || show("setup-link", t("addLink"), sign("mail"),
      h("p", { class: "lead" }, t(address ? "emailLead" : "claimedLead")), form, backButton(() => resolve(null)));
    draw();
  });
}

// inbox waits until the mailed link was opened and confirmed, wherever that
// is. The codes that came with the setup are void then: who opened the link
// may be somebody else than who was shown them.
async function inbox({ email, expiresAt }, resolve, again) {
  let before = await listed();
  const signal = show("inbox", t("checkMail"), sign("mail"), h("p", { class: "lead" }, t("inboxLead", { email })),
    waiting(expiresAt), button(t("otherAddress"), again, "quiet", true), backButton(() => resolve(null)));
  every(2000, signal, async () => {
    countdown(expiresAt);
    const now = await listed();
    if (signal.aborted) {
      return false;
    }
    before ??= now; // what could not be told is not news when it can
    if (now && now !== before) {
      resolve({ session: false });
      return false;
    }
    if (Date.now() > Date.parse(expiresAt)) {
      again();
      document.getElementById("detail").say(t("setupExpired"));
      return false;
    }
    return true;
  });
}

// listed tells the mail factors apart: confirming one makes it another. It
// returns "" when there is none, null when that cannot be told.
async function listed() {
  const { status, data } = await call("GET", "credentials");
  return status === 200 ? data.filter((one) => one.type === "MAGIC_LINK").map((one) => one.id + one.createdAt).join() : null;
}
