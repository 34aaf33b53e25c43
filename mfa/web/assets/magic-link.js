// The landing page of a magic link. It sends nothing until the button is
// pressed, so that software that opens links confirms nothing.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const card = byId("card");
  const title = byId("title");
  const lead = byId("lead");
  const notice = byId("detail");
  const button = byId("confirm");
  const note = byId("note");

  const service = byId("service").textContent;
  const readyTitle = title.textContent;
  const readyLead = [...lead.childNodes];
  const readyAction = button.textContent;
  const pageTitle = document.title;
  const restart = "Go back to where you began and start the e-mail setup again to get a new link.";

  let token = "";
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
    note.hidden = state !== "ready";
    if (outcome) {
      title.focus();
    }
  }

  // begin takes the token out of the address bar, so that it stays neither
  // in sight nor in the history.
  function begin() {
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
    show("ready", { action: readyAction });
  }

  function succeed() {
    token = "";
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

  async function send() {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), 20000);
    try {
      const response = await fetch("magic-link/activate", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify({ token }),
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
    } else {
      refuse(said || "The link has expired or was used before.");
    }
  }

  button.addEventListener("click", async () => {
    if (sending || token === "") {
      return;
    }
    sending = true;
    const sent = token;
    show("sending", { action: "Confirming…" });
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

  // A second link opened in this very tab changes the fragment alone.
  addEventListener("hashchange", () => {
    if (location.hash !== "") {
      begin();
    }
  });

  begin();
})();
