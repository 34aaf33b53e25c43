// A single-page app behind the edge. All that it has to know of a second
// factor is in call and stepUp.
import { begin, finish } from "./login.js";

const byId = (id) => document.getElementById(id);

// token is the access token, and from the first step-up on what takes its
// place on every route: the fullAccessToken.
let token = null;

function send(path, body) {
  return fetch(path, {
    method: body ? "POST" : "GET",
    headers: { Authorization: "Bearer " + token, ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body && JSON.stringify(body),
  });
}

// call asks the API. Where the edge wants a second factor (RFC 9470), it gets
// one from the person and asks again.
async function call(path) {
  const response = await send(path);
  if (response.status !== 401) {
    return response.text();
  }
  const { code, error } = await response.json();
  if (code === "insufficient_user_authentication") {
    return await stepUp() ? call(path) : "You have not confirmed that it is you.";
  }
  byId("who").textContent = error;
  return begin(); // the access token has expired, say
}

// stepUp asks the person for a code until it is right, or until they give up.
// Who has no factor yet is sent to the edge's own page, which takes the
// access token from the fragment, and comes back.
async function stepUp() {
  const status = await (await send("/mfa/status")).json();
  if (!status.data.isEnabled) {
    location.assign("/mfa/?return_to=/#access_token=" + token);
    return false;
  }
  const dialog = byId("step-up");
  byId("wrong").textContent = "";
  for (;;) {
    byId("code").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((closed) => { dialog.addEventListener("close", closed, { once: true }); });
    if (dialog.returnValue !== "confirm") {
      return false;
    }
    const answer = await (await send("/mfa/verify-login", { mfaType: "GOOGLE_AUTH", code: byId("code").value.trim() })).json();
    if (answer.success) {
      token = answer.fullAccessToken;
      return true;
    }
    byId("wrong").textContent = answer.error;
  }
}

async function show(path) {
  if (!token) {
    return begin();
  }
  byId("answer").textContent = "…";
  byId("answer").textContent = await call(path);
}

byId("confirm").value = "confirm";
byId("sign-in").addEventListener("click", begin);
byId("profile").addEventListener("click", () => show("/api/profile"));
byId("payments").addEventListener("click", () => show("/api/payments"));

try {
  token = await finish();
  byId("who").textContent = token ? "You are signed in." : "You are not signed in.";
} catch (error) {
  byId("who").textContent = "The sign-in failed: " + error.message;
}
