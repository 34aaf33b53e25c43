// An OpenID Connect identity provider to try the example with. It takes
// everybody's word for who they are. In production this is Keycloak, Okta,
// Microsoft Entra ID, Auth0 or the like.
import { randomBytes, webcrypto } from "node:crypto";
import { Provider } from "oidc-provider";

const issuer = process.env.ISSUER ?? "http://localhost:3001";
const app = process.env.APP ?? "http://localhost:8080";

const { privateKey } = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
const { kty, crv, x, y, d } = await webcrypto.subtle.exportKey("jwk", privateKey);

const provider = new Provider(issuer, {
  clients: [{
    client_id: "spa",
    redirect_uris: [`${app}/`],
    grant_types: ["authorization_code"],
    response_types: ["code"],
    token_endpoint_auth_method: "none", // a public client, hence PKCE
    id_token_signed_response_alg: "ES256",
  }],
  clientBasedCORS: (_ctx, origin) => origin === app,
  cookies: { keys: [randomBytes(32).toString("hex")] },
  jwks: { keys: [{ kty, crv, x, y, d, alg: "ES256", use: "sig", kid: "one" }] },
  claims: { openid: ["sub"], email: ["email"] },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) }),
  // Access tokens are JWTs for the API.
  extraTokenClaims: (_ctx, token) => ({ email: `${token.accountId}@example.com` }),
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => app,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "api",
        audience: app,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});

const { hostname, port } = new URL(issuer);
provider.listen(Number(port), hostname, () => console.log(`serving ${issuer}`));
