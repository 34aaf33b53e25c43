// Package assertion is the token that proves a second factor: a JWT (RFC
// 7519) signed with ES256 by the edge's own keys, which anybody can verify
// with the set that is published of them (RFC 7517).
//
// What it promises:
//
//   - A token has one spelling. The header is constant for each key, and
//     ES256 is made deterministic here (RFC 6979), so that the edge opens its
//     own assertions by signing their content again and comparing, which
//     costs less than verifying. No header is parsed, and no claims are
//     before the signature holds.
//   - exp is required and no skew is granted to it.
//   - The access token inside is sealed under the assertion's jti, and opens
//     in no other assertion.
//
// A Keyring is the set of keys, a Codec signs and verifies with it. Where the
// keys are kept, and which sessions go on, is the caller's business.
package assertion
