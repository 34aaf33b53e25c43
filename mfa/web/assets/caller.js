// Who uses the page. Three ways tell: the sign-in's cookie, which the browser
// sends by itself; an access token in the URL's fragment; one that the page
// around this one hands over by postMessage. A token that was handed over is
// kept in this module's memory and nowhere else.
import { settings } from "./dom.js";

let bearer = ""; // the sign-in's access token, "" for the cookie
let full = ""; // fullAccessToken, once a factor was shown
let refused = ""; // the access token that was last found to be no good
let giver = ""; // the origin of the page around this one that gave bearer

export const embedded = window.parent !== window;

// handed tells whether an access token was handed over.
export const handed = () => bearer !== "";

export const authorization = () => full || bearer;

// forget lets go of fullAccessToken, which has ended. It tells whether
// there was one.
export function forget() {
  const had = full !== "";
  full = "";
  return had;
}

// drop lets go of what was handed over, when it is no good.
export function drop() {
  refused = bearer;
  bearer = full = "";
}

// takeFragment reads #access_token=… and takes it out of the address bar and
// the history at once. It returns the token, "" for none.
export function takeFragment() {
  const fragment = location.hash.slice(1);
  if (location.href.includes("#")) {
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return new URLSearchParams(fragment).get("access_token") || "";
}

// take has the page speak for whom token is of.
export function take(token) {
  bearer = token;
  full = giver = "";
}

let arrived = () => {};

// listen takes an access token from the page around this one: its origin
// must be listed in the configuration, and it must be the parent itself.
export function listen(taken) {
  addEventListener("message", ({ data, origin, source }) => {
    if (!embedded || source !== window.parent || !settings.ancestors.includes(origin)
      || !data || data.type !== "mfa:token" || typeof data.accessToken !== "string" || !data.accessToken
      || data.accessToken === refused) { // which would go on for ever
      return;
    }
    bearer = data.accessToken;
    full = "";
    giver = origin;
    arrived(true);
    taken();
  });
}

// hello asks the page around this one for an access token. It says nothing
// about anybody, so that any page may hear it.
export function hello() {
  if (embedded && settings.ancestors.length) {
    window.parent.postMessage({ type: "mfa:ready" }, "*");
  }
}

// another asks for a token in place of one that has ended, and tells whether
// who gave that one has done so in time.
export function another() {
  hello();
  return giver && new Promise((resolve) => {
    arrived = resolve;
    setTimeout(resolve, 5000, false);
  });
}

// keep takes the pair that the answer to a request with token brought. Who
// handed the access token over gets the pair for it, at exactly the origin
// that did so; nobody else does.
export function keep({ fullAccessToken, refreshToken, expiresAt }, token) {
  if (!token || token !== bearer && token !== full) {
    return; // the cookie has it, or it is of whom the page spoke for before
  }
  full = fullAccessToken;
  if (giver) {
    window.parent.postMessage({ type: "mfa:verified", fullAccessToken, refreshToken, expiresAt }, giver);
  }
}

// tell lets the page that handed a token over know what happened.
export function tell(type) {
  if (giver) {
    window.parent.postMessage({ type }, giver);
  }
}
