// Package bearer checks the access token that a caller brings from the
// login in front of which caddy-mfa stands: a JWT (RFC 7519) signed as
// a compact JWS (RFC 7515).
//
// A Verifier takes the raw token string and answers with an Identity or
// an error; where the string came from (Authorization header, cookie) is
// the caller's business. Keys come from a KeySource: JWKSURL, OIDC,
// JWKSFile, PublicKeyFile, HMACSecret or DevKeys. No constructor touches
// the network or creates a file, so all of them can run while a
// configuration is only being validated.
//
// What it promises:
//
//   - The algorithm belongs to the key, never to the token: a key is
//     used only with its own "alg", or, where it names none, with those
//     of its type and curve. There is no "none", and RSA keys have at
//     least 2048 bits.
//   - Keys come from the source alone. A token's jku, jwk, x5u and x5c
//     are never looked at, and a token with "crit" is refused.
//   - exp is required. nbf, iat and auth_time are held against the clock
//     when they are there.
//   - When keys cannot be had, the answer is ErrKeysUnavailable, never an
//     identity.
package bearer
