// The page that a gate sends a browser to. The person shows a second factor
// here and goes back to where they came from. The browser's cookies tell who
// they are.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const card = byId("card");
  const lead = byId("lead");
  const detail = byId("detail");
  const form = byId("code-form");
  const code = byId("code");
  const passkey = byId("passkey");
  const link = byId("link");
  const controls = [form, passkey, link];

  // back is where the person came from: a path of this origin, or nothing.
  function back() {
    const path = new URLSearchParams(location.search).get("return_to") || "";
    if (!/^\/(?![/\\])/.test(path)) {
      return "";
    }
    const target = new URL(path, location.origin);
    return target.origin === location.origin ? target.href : "";
  }

  async function call(path, body) {
    const response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
    const answer = await response.json().catch(() => ({}));
    return { status: response.status, answer };
  }

  function end(state, heading, text) {
    controls.forEach((control) => { control.hidden = true; });
    card.dataset.state = state;
    byId("title").textContent = heading;
    lead.textContent = text;
    detail.textContent = "";
    byId("title").focus();
  }

  function complain(result) {
    detail.textContent = (result.answer && result.answer.error) || "Something went wrong. Try again in a moment.";
  }

  function finish() {
    const target = back();
    if (target) {
      location.replace(target);
      return;
    }
    end("done", "It is you", "You can close this page and go on.");
  }

  // attempt runs one way of verifying at a time.
  let busy = false;
  async function attempt(run) {
    if (busy) {
      return;
    }
    busy = true;
    detail.textContent = "";
    try {
      await run();
    } catch (error) {
      detail.textContent = error && error.name === "NotAllowedError"
        ? "The passkey was not used. Try again, or choose another way."
        : "No connection. Try again.";
    }
    busy = false;
  }

  async function verify(proof) {
    const result = await call("verify-login", proof);
    if (result.status === 200) {
      finish();
      return;
    }
    complain(result);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await verify({ mfaType: "GOOGLE_AUTH", code: code.value.trim() });
      code.select();
    });
  });

  passkey.addEventListener("click", () => attempt(async () => {
    const options = await call("passkey/auth-options", {});
    if (options.status !== 200) {
      complain(options);
      return;
    }
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.answer.data);
    const credential = await navigator.credentials.get({ publicKey });
    await verify({ mfaType: "PASSKEY", credential: credential.toJSON() });
  }));

  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  link.addEventListener("click", () => attempt(async () => {
    const sent = await call("magic-link/send", {});
    if (sent.status !== 200) {
      complain(sent);
      return;
    }
    const { sessionId, matchNumber, expiresAt } = sent.answer.data;
    lead.textContent = "Open the link in your e-mail and enter this number there: " + matchNumber;
    while (Date.now() < Date.parse(expiresAt)) {
      await pause(2000);
      const result = await call("verify-login", { mfaType: "MAGIC_LINK", sessionId });
      if (result.status === 200) {
        finish();
        return;
      }
      if (result.answer.code !== "magic_link_pending") {
        complain(result);
        return;
      }
    }
    detail.textContent = "The link has expired. Send another one.";
  }));

  async function begin() {
    const result = await call("status").catch(() => null);
    if (!result || result.status >= 500) {
      end("failed", "Something went wrong", "Load the page again in a moment.");
      return;
    }
    if (result.status !== 200) {
      end("failed", "You are not signed in", "Sign in first, then come back to this page.");
      return;
    }
    const { isEnabled, enabledMethods, backupCodesRemaining } = result.answer.data;
    if (!isEnabled) {
      end("failed", "You need a second factor", "This page asks for one, and your account has none yet. Set one up, then come back.");
      return;
    }
    lead.textContent = "What you asked for needs a second factor.";
    form.hidden = !(enabledMethods.includes("GOOGLE_AUTH") || backupCodesRemaining > 0);
    passkey.hidden = !(enabledMethods.includes("PASSKEY") && window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON);
    link.hidden = !enabledMethods.includes("MAGIC_LINK");
    if (!form.hidden) {
      code.focus();
    }
  }

  begin();
})();
