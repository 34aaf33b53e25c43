// The page that a mailed link opens. It asks what the link is for, which
// spends nothing, and confirms or approves only when a button is pressed, so
// that software that opens links changes nothing. It sends no cookie: the
// link's token is the proof.
import { explain, open } from "./api.js";
import { browser, button, h, moment, notice, once, settings, show, sign, system, t } from "./dom.js";

const card = document.getElementById("card");

let token = "";

// view shows one state of the link, which data-state names.
function view(state, heading, text, ...nodes) {
  const [picture, kind] = { done: ["check", "good"], failed: ["warn", "bad"] }[state] || ["mail"];
  card.dataset.state = state;
  show("link", heading, sign(picture, kind), h("p", { class: "lead" }, text), ...nodes);
}

// begin takes the token out of the address bar, so that it stays neither
// in sight nor in the history.
async function begin() {
  token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
  if (location.href.includes("#")) {
    history.replaceState(null, "", location.pathname + location.search);
  }
  if (token === "") {
    view("failed", t("linkIncomplete"), t("linkIncompleteLead"));
    return;
  }
  const opened = token;
  const asked = await open("magic-link/inspect", { token });
  if (token !== opened) {
    return; // another link was opened meanwhile
  }
  if (asked.status === 200) {
    (asked.data.purpose === "login" ? login : setup)(asked.data);
  } else {
    refused(asked, begin.again);
  }
}

// refused says what is wrong: with the link, or with the way to the server,
// which can be tried again.
function refused(result, again) {
  if (result.code === "invalid_magic_link") {
    token = "";
    view("failed", t("linkDead"), t("linkDeadLead"));
    return;
  }
  view("failed", t("failedTitle"), explain(result), Object.assign(button(t("tryAgain"), again), { id: "confirm" }));
}

begin.again = () => {
  location.hash = "token=" + encodeURIComponent(token); // begins anew
};

function setup() {
  const confirm = h("button", { type: "button", id: "confirm" }, t("confirmMail"));
  const send = once(confirm, async () => {
    const sent = token;
    const result = await open("magic-link/activate", { token });
    if (token !== sent) {
      return;
    }
    if (result.status === 200) {
      token = "";
      view("done", t("mailConfirmed"), t("mailConfirmedLead"));
    } else {
      refused(result, () => {
        setup();
        send();
      });
    }
  });
  confirm.addEventListener("click", send);
  view("ready", t("mailTitle"), t("mailLead", { title: settings.title }), confirm, h("p", { class: "note" }, t("mailNote")));
}

function login(asked) {
  const detail = notice();
  const number = h("input", { id: "number", class: "digits two", inputmode: "numeric", autocomplete: "off", maxlength: "2", "aria-describedby": "detail" });
  const approve = h("button", { type: "submit", id: "confirm" }, t("approve"));
  const deny = h("button", { type: "button", id: "deny", class: "quiet" }, t("notMe"));
  const send = once(approve, async () => {
    detail.say("");
    const sent = token;
    const result = await open("magic-link/activate", { token, matchNumber: number.value.trim() });
    if (token !== sent) {
      return; // another link was opened meanwhile
    }
    if (result.status === 200) {
      token = "";
      view("done", t("approved"), t("approvedLead"));
      return;
    }
    detail.say(result.code === "invalid_magic_link" ? t("wrongNumber") : explain(result));
    card.dataset.state = "failed";
    number.select();
    number.focus();
  });
  deny.addEventListener("click", once(deny, async () => {
    const sent = token;
    const result = await open("magic-link/deny", { token });
    if (token !== sent) {
      return;
    }
    if (result.status === 200) {
      token = "";
      view("done", t("denied"), t("deniedLead"));
    } else if (result.code === "invalid_magic_link") {
      refused(result);
    } else {
      detail.say(explain(result));
    }
  }));
  view("ready", t("approveTitle"), t("approveLead", { title: settings.title }),
    h("dl", { class: "asked" },
      h("dt", {}, t("askedWhen")), h("dd", {}, moment(asked.requestedAt)),
      h("dt", {}, t("askedFrom")), h("dd", {}, asked.ip || t("unknown")),
      h("dt", {}, t("askedWith")), h("dd", {}, [browser(asked.userAgent), system(asked.userAgent)].filter(Boolean).join(" · ") || asked.userAgent || t("unknown"))),
    h("form", { novalidate: true, submit: (event) => {
      event.preventDefault();
      if (/^\d{2}$/.test(number.value.trim())) {
        send();
        return;
      }
      detail.say(t("twoDigits"));
      number.focus();
    } },
    h("p", { class: "field" }, h("label", { for: "number" }, t("numberLabel")), number), detail,
    approve, deny));
}

// A second link opened in this very tab changes the fragment alone.
addEventListener("hashchange", () => {
  if (location.hash !== "") {
    begin();
  }
});

begin();
