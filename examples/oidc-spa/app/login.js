// The sign-in: OpenID Connect, authorization code flow with PKCE (RFC 7636).
// The access token is kept in memory alone. After a reload the identity
// provider, whose own session goes on, gives another one without a question.
import { clientID, issuer } from "./config.js";

const redirectURI = location.origin + "/";

function encode(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

const random = () => encode(crypto.getRandomValues(new Uint8Array(32)));

async function discover() {
  const response = await fetch(issuer + "/.well-known/openid-configuration");
  return response.json();
}

// begin leaves the page for the identity provider.
export async function begin() {
  const { authorization_endpoint } = await discover();
  const verifier = random();
  const state = random();
  sessionStorage.setItem("login", JSON.stringify({ verifier, state }));
  const challenge = encode(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  location.assign(authorization_endpoint + "?" + new URLSearchParams({
    client_id: clientID,
    redirect_uri: redirectURI,
    response_type: "code",
    scope: "openid email api",
    state,
    code_challenge: challenge,
    code_challenge_method: "S256",
  }));
}

// finish returns the access token that a return from the identity provider
// is good for, null where this is none.
export async function finish() {
  const query = new URLSearchParams(location.search);
  const begun = JSON.parse(sessionStorage.getItem("login") ?? "null");
  sessionStorage.removeItem("login");
  if (!query.has("code")) {
    return null;
  }
  history.replaceState(null, "", location.pathname);
  if (!begun || query.get("state") !== begun.state) {
    throw new Error("This sign-in was not begun here.");
  }
  const { token_endpoint } = await discover();
  const response = await fetch(token_endpoint, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: clientID,
      redirect_uri: redirectURI,
      code: query.get("code"),
      code_verifier: begun.verifier,
    }),
  });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.error_description ?? answer.error);
  }
  return answer.access_token;
}
