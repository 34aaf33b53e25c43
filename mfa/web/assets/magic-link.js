// The landing page of a magic link. It asks what the link is for, which
// spends nothing, and confirms or approves only when a button is pressed, so
// that software that opens links changes nothing.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const card = byId("card");
  const title = byId("title");
  const lead = byId("lead");
  const notice = byId("detail");
  const button = byId("confirm");
  const note = byId("note");
  const deny = byId("deny");
  const asked = byId("asked");
  const field = byId("number-field");
  const number = byId("number");

  const service = byId("service").textContent;
  const readyTitle = title.textContent;
  const readyLead = [...lead.childNodes];
  const readyAction = button.textContent;
  const pageTitle = document.title;
  const restart = "Go back to where you began and start the e-mail setup again to get a new link.";

  let token = "";
  let login = false; // what the link is for: a login, else a setup
  let sending = false;

  // show changes the card. With an outcome, the focus goes to its heading.
  function show(state, { heading, text, detail = "", action = "", outcome = false }) {
    card.dataset.state = state;
    if (heading) {
      title.textContent = heading;
      document.title = heading + " · " + service;
    }
    if (text) {
      lead.textContent = text;
    }
    notice.textContent = detail;
    button.hidden = action === "";
    button.textContent = action;
    button.setAttribute("aria-disabled", String(state === "sending"));
    note.hidden = state !== "ready" || login;
    const asking = login && action !== "";
    deny.hidden = !asking || state === "sending";
    asked.hidden = field.hidden = !asking;
    if (outcome) {
      title.focus();
    }
  }

  // begin takes the token out of the address bar, so that it stays neither
  // in sight nor in the history.
  async function begin() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    token = fragment.get("token") || "";
    if (location.hash !== "" || location.href.endsWith("#")) {
      history.replaceState(null, "", location.pathname + location.search);
    }
    if (token === "") {
      show("failed", {
        heading: "This link is incomplete",
        text: "Open the link in the mail again, or copy the whole of it into the address bar.",
      });
      return;
    }
    title.textContent = readyTitle;
    document.title = pageTitle;
    lead.replaceChildren(...readyLead);
    login = false;
    show("ready", { action: readyAction });
    await inspect();
  }

  // inspect turns the page into one that approves a login, if that is what
  // the link is for.
  async function inspect() {
    const opened = token;
    const result = await post("magic-link/inspect", { token }).catch(() => null);
    const data = result && result.status === 200 && result.answer && result.answer.data;
    if (!data || data.purpose !== "login" || token !== opened) {
      return;
    }
    login = true;
    byId("asked-when").textContent = new Date(data.requestedAt).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    byId("asked-from").textContent = data.ip || "an unknown address";
    byId("asked-with").textContent = String(data.userAgent || "an unknown device").slice(0, 200);
    show("ready", {
      heading: "Are you signing in?",
      text: "Somebody asked for this link to sign in to " + service + ". If it was you, enter the number that screen shows. Never enter one that somebody tells you.",
      action: "Approve",
    });
  }

  function succeed() {
    token = "";
    if (login) {
      show("done", {
        heading: "Sign-in approved",
        text: "Go back to the screen that asked. You can close this page.",
        outcome: true,
      });
      return;
    }
    show("done", {
      heading: "E-mail confirmed",
      text: "This address is now a second factor for your account. You can close this page and return to " + service + ".",
      outcome: true,
    });
  }

  function refuse(detail) {
    token = "";
    show("failed", { heading: "This link doesn’t work", text: restart, detail, outcome: true });
  }

  // retry keeps the token, for what may pass by itself.
  function retry(heading, text, detail) {
    show("failed", { heading, text, detail, action: "Try again", outcome: true });
  }

  function send() {
    return post("magic-link/activate", login ? { token, matchNumber: number.value.trim() } : { token });
  }

  async function post(path, body) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 20000);
    try {
      const response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: abort.signal,
      });
      const answer = await response.json().catch(() => null);
      return { status: response.status, wait: response.headers.get("Retry-After"), answer };
    } finally {
      clearTimeout(timer);
    }
  }

  function report({ status: code, wait, answer }) {
    if (code === 200 && answer && answer.success === true) {
      succeed();
      return;
    }
    const said = answer && typeof answer.error === "string" ? answer.error.slice(0, 200) : "";
    if (code === 429) {
      const seconds = /^\d{1,6}$/.test(wait || "") ? Number(wait) : 60;
      const minutes = Math.max(1, Math.ceil(seconds / 60));
      retry("Too many attempts", "Wait " + (minutes === 1 ? "a minute" : minutes + " minutes") + ", then try again.", said);
    } else if (code >= 500 || code === 200) {
      retry("Something went wrong", "Your e-mail is not confirmed yet. Try again in a moment.", said);
    } else if (login) {
      retry("That didn’t work", "Check the number on the screen that asked. After three wrong ones, or ten minutes, ask for a new link there.", said);
    } else {
      refuse(said || "The link has expired or was used before.");
    }
  }

  button.addEventListener("click", async () => {
    if (sending || token === "") {
      return;
    }
    if (login && !/^[0-9]{2}$/.test(number.value.trim())) {
      notice.textContent = "Enter the two digits that the other screen shows.";
      number.focus();
      return;
    }
    sending = true;
    const sent = token;
    show("sending", { action: login ? "Approving…" : "Confirming…" });
    let result = null;
    try {
      result = await send();
    } catch {
      // No answer: reported below.
    }
    sending = false;
    if (token !== sent) {
      return; // another link was opened meanwhile
    }
    if (result) {
      report(result);
    } else if (navigator.onLine === false) {
      retry("You are offline", "Connect to the internet, then try again.", "");
    } else {
      retry("No connection", service + " could not be reached. Check your connection, then try again.", "");
    }
  });

  deny.addEventListener("click", async () => {
    if (sending || token === "") {
      return;
    }
    sending = true;
    const result = await post("magic-link/deny", { token }).catch(() => null);
    sending = false;
    if (!result || result.status >= 500) {
      retry("No connection", service + " could not be reached. Try again.", "");
      return;
    }
    token = "";
    show("done", {
      heading: "Sign-in refused",
      text: "The link no longer works. Somebody may know your password: change it.",
      outcome: true,
    });
  });

  // A second link opened in this very tab changes the fragment alone.
  addEventListener("hashchange", () => {
    if (location.hash !== "") {
      begin();
    }
  });

  begin();
})();
