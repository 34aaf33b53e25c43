// Requests to the API, and what their refusals mean to a person.
import { authorization, forget, keep } from "./caller.js";
import { settings, span, t } from "./dom.js";

const patience = 20000; // ms

// request sends one request. Without an answer the result's status is 0.
async function request(method, path, body, token, credentials = "same-origin") {
  const headers = { Accept: "application/json" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  if (token) {
    headers.Authorization = "Bearer " + token;
  }
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials,
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(patience),
    });
  } catch {
    return { status: 0, code: "", wait: 0, answer: {}, acr: "" };
  }
  const answer = await response.json().catch(() => null) || {};
  const wait = response.headers.get("Retry-After") || "";
  return {
    // A success that is not in the API's envelope is somebody else's.
    status: response.status === 200 && answer.success !== true ? 502 : response.status,
    code: answer.code || "",
    token, // what it was asked with
    data: answer.data,
    answer,
    wait: /^\d{1,7}$/.test(wait) ? Number(wait) : 60, // seconds
    // What a step-up demands (RFC 9470); "" where it is a sign-in.
    acr: /acr_values="(\w+)"/.exec(response.headers.get("WWW-Authenticate") || "")?.[1] || "",
  };
}

// What is done when a request of the person's finds that nobody is signed
// in, or no more. It tells whether that has changed.
let renew;
export const onEnd = (run) => { renew = run; };

// call sends a request for the person who uses the page, once more when they
// are signed in again. When they are not, what they were doing has ended:
// who waits for the answer never gets one.
export async function call(method, path, body) {
  let result = await request(method, path, body, authorization());
  if (result.code === "invalid_token" && forget()) {
    result = await request(method, path, body, authorization());
  }
  if (signedOut(result)) {
    return await renew(result) ? call(method, path, body) : new Promise(() => {});
  }
  if (result.status === 200 && result.answer.fullAccessToken) {
    keep(result.answer, result.token);
  }
  return result;
}

export const post = (path, body = {}) => call("POST", path, body);

// open sends a request that says nothing of who sends it.
export const open = (path, body) => request("POST", path, body, "", "omit");

// byCookie asks as a page of the site would that has nothing but cookies.
export const byCookie = () => request("GET", "status");

// signedOut tells whether a refusal means that nobody is signed in.
export const signedOut = ({ code }) => code === "authentication_required" || code === "invalid_token";

// stepUp tells whether a refusal asks for a recent factor.
export const stepUp = ({ code, acr }) => code === "insufficient_user_authentication" && acr !== "";

const explained = {
  mfa_verification_failed: "wrongProof",
  setup_verification_failed: "wrongProof",
  malformed_code: "malformedCode",
  no_pending_setup: "setupExpired",
  mfa_enforced: "enforced",
  mail_not_sent: "mailFailed",
  credential_taken: "passkeyTaken",
  too_many_credentials: "tooMany",
  credential_not_found: "gone",
  origin_not_allowed: "wrongAddress",
};

// explain says what a refusal means.
export function explain(result) {
  if (explained[result.code]) {
    return t(explained[result.code], { title: settings.title });
  }
  if (result.status === 0) {
    return navigator.onLine === false ? t("offline") : t("unreachable", { title: settings.title });
  }
  if (result.status === 429) {
    return t("wait", { time: span(result.wait) });
  }
  return t("failed");
}
