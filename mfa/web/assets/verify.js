// Showing a factor: the person's primary one first, the others one press
// away.
import { call, explain, post, stepUp } from "./api.js";
import { announce, backButton, button, choice, every, h, notice, once, settings, show, sign, span, t } from "./dom.js";
import * as passkey from "./passkey.js";

const levels = { mail: 1, mfa: 2, phr: 3 };
const levelOf = { MAGIC_LINK: "mail", GOOGLE_AUTH: "mfa", PASSKEY: "phr" };

// accepts tells whether a way of verifying meets what is demanded: a level,
// and perhaps some methods alone. Backup codes have a level of their own, codes.
export const accepts = ({ acr, methods } = {}, way, codes) =>
  levels[levelOf[way] || codes] >= (levels[acr] || 0) && (!methods?.length || methods.includes(way));

// How each way is called, pictured and drawn.
const views = {
  PASSKEY: ["key", "usePasskey", passkeyView],
  GOOGLE_AUTH: ["phone", "useApp", appView],
  MAGIC_LINK: ["mail", "useLink", linkView],
  BACKUP_CODE: ["codes", "useBackup", backupView],
};

// askFactor has the person show a factor that meets what is demanded. It
// returns the way they took, or "" when they chose not to, which cancel
// allows; instead is one thing more to offer, in its own row.
export async function askFactor(status, { demanded, lead, lost, cancel, instead } = {}) {
  const { primaryMethod, enabledMethods, backupCodesRemaining, backupCodesAcr } = status;
  const ways = [...new Set([primaryMethod, ...enabledMethods]), backupCodesRemaining > 0 && "BACKUP_CODE"]
    .filter((way) => way && accepts(demanded, way, backupCodesAcr));
  return new Promise((resolve) => {
    const open = (way) => {
      const others = ways.filter((other) => other !== way);
      const around = {
        lead: lead || t("verifyLead"),
        free: ways.some((one) => one === "PASSKEY" || one === "MAGIC_LINK"),
        done: () => resolve(way),
        below: [
          (others.length > 0 || instead) && h("section", { class: "others" },
            h("h2", {}, t("otherWay")),
            h("ul", { class: "choices" }, others.map((other) => {
              const [picture, name] = views[other];
              return choice(picture, t(name), "", () => open(other), "way-" + other, other === ways[0]);
            }), instead)),
          h("p", { class: "note" }, lost || t("lost")),
          cancel && backButton(() => resolve("")),
        ],
      };
      views[way][2](around);
    };
    if (ways.length === 0) {
      show("stuck", t("noWay"), sign("warn", "bad"), h("p", { class: "lead" }, t("noWayLead")),
        instead && h("ul", { class: "choices" }, instead),
        cancel && backButton(() => resolve("")));
      return;
    }
    open(ways[0]);
  });
}

// prove sends a proof. It returns "" when it was accepted, else the refusal.
async function prove(proof, done) {
  const result = await post("verify-login", proof);
  if (result.status === 200) {
    announce(t("verified"));
    done();
    return null;
  }
  return result;
}

// lock keeps form and other ways by a code closed while codes are locked,
// counts down, and says what else there is; free tells whether there are
// ways without a code.
function lock(form, detail, result, signal, free) {
  const until = Date.now() + result.wait * 1000;
  const timer = h("span", { role: "timer" });
  const text = t("locked", { time: "\n" }).split("\n");
  const closed = [...form.querySelectorAll("input, button"), ...document.querySelectorAll("#way-GOOGLE_AUTH, #way-BACKUP_CODE")];
  closed.forEach((one) => { one.disabled = true; });
  timer.textContent = span(result.wait);
  detail.replaceChildren(text[0], timer, text[1], " ", t(free ? "lockedFree" : "lockedAll"));
  every(1000, signal, () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      timer.textContent = span(left);
      return true;
    }
    closed.forEach((one) => { one.disabled = false; });
    detail.say("");
    announce(t("unlocked"));
    form.querySelector("input").focus();
    return false;
  });
}

// codeForm asks for a code: of six digits, which is sent when it is whole,
// or of any other kind. The focus goes there at once, unless something is to
// be done before, later. refused may deal with a refusal, and says whether it
// has.
export function codeForm({ label, hint, digits, later, action, send, refused }) {
  const detail = notice();
  const input = h("input", {
    id: "code", name: "code", class: digits ? "digits" : "wide", required: true, "data-focus": !later, spellcheck: "false",
    autocapitalize: digits ? "off" : "characters", autocomplete: digits ? "one-time-code" : "off",
    inputmode: digits ? "numeric" : "text", "aria-describedby": "code-hint detail",
  });
  const submit = h("button", { type: "submit" }, action);
  const go = once(submit, async () => {
    input.readOnly = true;
    const failure = await send(input.value.trim());
    input.readOnly = false;
    if (!failure || refused?.(failure)) {
      return;
    }
    input.setAttribute("aria-invalid", "true");
    detail.say(explain(failure));
    input.focus();
    input.select();
  });
  const form = h("form", { id: "code-form", novalidate: true, submit: async (event) => {
    event.preventDefault();
    if (input.value.trim() === "" || digits && input.value.length !== 6) {
      detail.say(t(digits ? "sixDigits" : "enterCode"));
      input.focus();
      return;
    }
    detail.say("");
    await go();
  } },
  h("p", { class: "field" }, h("label", { for: "code" }, label), input, h("small", { id: "code-hint" }, hint)), detail, submit);
  const read = (event) => {
    input.removeAttribute("aria-invalid");
    // What an input method has not finished stays as it is.
    if (!digits || event.isComposing) {
      return;
    }
    const typed = decimal(input.value).replace(/\D/g, "").slice(0, 6);
    if (typed !== input.value) {
      input.value = typed;
    }
    if (typed.length === 6) {
      form.requestSubmit();
    }
  };
  input.addEventListener("input", read);
  input.addEventListener("compositionend", read);
  return { form, detail };
}

// decimal has digits of every script, which follow each other, be 0 to 9.
const decimal = (text) => text.replace(/\p{Nd}/gu, (one) => {
  let n = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(one.codePointAt() - n - 1))) {
    n++;
  }
  return n % 10;
});

function codeView(view, { lead, free, done, below }, { picture, heading, label, hint, digits }) {
  let signal;
  const { form, detail } = codeForm({
    label, hint, digits, action: t("verify"),
    send: (code) => prove({ mfaType: "GOOGLE_AUTH", code }, done),
    refused: (failure) => failure.code === "locked" && (lock(form, detail, failure, signal, free), true),
  });
  signal = show(view, heading, sign(picture), h("p", { class: "lead" }, lead), form, below);
}

function appView(around) {
  codeView("app", around, {
    picture: "phone", heading: t("verifyTitle"), label: t("appCode"), hint: t("appHint"), digits: true,
  });
}

function backupView(around) {
  codeView("backup", around, {
    picture: "codes", heading: t("verifyTitle"), label: t("backupCode"), hint: t("backupHint"), digits: false,
  });
}

function passkeyView({ lead, done, below }) {
  const detail = notice();
  const press = h("button", { type: "button", id: "passkey", "data-focus": true }, t("usePasskey"));
  press.addEventListener("click", once(press, async () => {
    detail.say("");
    const options = await post("passkey/auth-options");
    if (options.status !== 200) {
      detail.say(explain(options));
      return;
    }
    let credential;
    try {
      credential = await passkey.get(options.data);
    } catch (error) {
      detail.say(t(passkey.reason(error)));
      return;
    }
    const failure = await prove({ mfaType: "PASSKEY", credential }, done);
    if (failure) {
      detail.say(failure.code === "mfa_verification_failed" ? t("passkeyRefused") : explain(failure));
    }
  }));
  const able = passkey.supported();
  show("passkey", t("verifyTitle"), sign("key"), h("p", { class: "lead" }, able ? lead : t("passkeyUnsupported")),
    able && [h("p", { class: "note" }, t("passkeyHint")), detail, press], below);
}

function linkView(around) {
  const { lead, done, below } = around;
  const detail = notice();
  const press = h("button", { type: "button", id: "link", "data-focus": true }, t("sendLink"));
  press.addEventListener("click", once(press, async () => {
    detail.say("");
    const sent = await post("magic-link/send");
    if (sent.status !== 200) {
      detail.say(explain(sent));
      return;
    }
    const again = (why) => {
      linkView(around);
      document.getElementById("detail").say(why);
    };
    const signal = show("link", t("checkMail"), sign("mail"), h("p", { class: "lead" }, t("numberLead")),
      h("p", { class: "match", id: "match", "aria-label": t("numberIs", { number: sent.data.matchNumber }) }, String(sent.data.matchNumber)),
      waiting(sent.data.expiresAt), button(t("newLink"), () => again(""), "quiet", true), below);
    await every(2000, signal, async () => {
      countdown(sent.data.expiresAt);
      const result = await post("verify-login", { mfaType: "MAGIC_LINK", sessionId: sent.data.sessionId });
      if (signal.aborted) {
        return false;
      }
      if (result.status === 200) {
        announce(t("verified"));
        done();
        return false;
      }
      if (result.code === "magic_link_pending" || result.status === 0 || result.status >= 500) {
        return true; // not yet, or no connection just now
      }
      again(result.code === "mfa_verification_failed" ? t("linkEnded") : explain(result));
      return false;
    });
  }));
  show("link", t("verifyTitle"), sign("mail"), h("p", { class: "lead" }, lead), h("p", { class: "note" }, t("linkHint")), detail, press, below);
}

// waiting shows that the page waits for a mail to be opened, and for how
// much longer; countdown brings it up to date.
let started = 0;
export function waiting(until) {
  started = Date.now();
  return h("div", { class: "waiting" },
    h("p", { role: "status" }, t("waiting")),
    h("progress", { id: "left", max: "1", value: "1", "aria-label": t("timeLeft") }),
    h("p", { class: "note" }, t("until", { time: new Date(until).toLocaleTimeString(settings.lang, { timeStyle: "short" }) })));
}

export function countdown(until) {
  const bar = document.getElementById("left");
  if (bar) {
    bar.value = Math.max(0, (Date.parse(until) - Date.now()) / (Date.parse(until) - started));
  }
}

// withFactor runs a request that may need a recent factor. If it does, the
// person is asked for one and the request runs again. It returns the last
// answer, or null when the person chose not to.
export async function withFactor(run, lead) {
  const first = await run();
  if (!stepUp(first)) {
    return first;
  }
  const status = await call("GET", "status");
  if (status.status !== 200) {
    return status;
  }
  // Who has a passkey changes what protects them by showing one.
  const passkeys = first.acr === "phr";
  if (!await askFactor(status.data, {
    demanded: { acr: first.acr }, lead: lead || t(passkeys ? "stepUpPasskey" : "stepUpLead"),
    lost: passkeys && t("lostPasskey"), cancel: true,
  })) {
    return null;
  }
  return run();
}
