package bearer

import (
	"encoding/base64"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxToken bounds a token, in bytes.
const maxToken = 8 << 10

// compactJWS is a token taken apart (RFC 7515 section 7.1), with nothing
// verified yet.
type compactJWS struct {
	algorithm string
	keyID     string // "" when the token names no key
	input     []byte // what was signed, exactly as it was received
	payload   []byte
	signature []byte
}

// parseCompact takes a token apart and refuses all that no key could make
// good. It reads alg, kid, typ and crit from the header, nothing else.
func parseCompact(token string) (compactJWS, error) {
	if len(token) > maxToken {
		return compactJWS{}, invalid("the token is longer than 8 KiB")
	}
	segments := strings.SplitN(token, ".", 6)
	switch len(segments) {
	case 3:
	case 5:
		return compactJWS{}, invalid("encrypted tokens (JWE) are not accepted")
	default:
		return compactJWS{}, invalid("the token is not a JWT of three segments")
	}
	var parts [3][]byte
	for i, segment := range segments {
		part, ok := decodeSegment(segment)
		if !ok {
			return compactJWS{}, invalid("the token is not base64url without padding")
		}
		parts[i] = part
	}
	header, err := decodeObject(parts[0])
	if err != nil {
		return compactJWS{}, invalid("the header's members " + err.Error())
	}
	parsed := compactJWS{
		input:     []byte(token[:len(token)-len(segments[2])-1]),
		payload:   parts[1],
		signature: parts[2],
	}
	if _, ok := header["crit"]; ok {
		return compactJWS{}, invalid("tokens with a crit header are not accepted")
	}
	if !isAccessTokenType(header["typ"]) {
		return compactJWS{}, invalid("the header's typ is not that of an access token")
	}
	parsed.algorithm, _ = header["alg"].(string)
	if !isSupported(parsed.algorithm) {
		return compactJWS{}, invalid("the header's alg is missing or not accepted")
	}
	if keyID, ok := header["kid"]; ok {
		if parsed.keyID, ok = keyID.(string); !ok {
			return compactJWS{}, invalid("the header's kid must be a string")
		}
	}
	return parsed, nil
}

// decodeSegment decodes base64url strictly: one spelling for each token,
// where Go's decoder would pass over line breaks.
func decodeSegment(segment string) ([]byte, bool) {
	if strings.ContainsAny(segment, "\r\n") {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	return decoded, err == nil
}

// isAccessTokenType tells an access token, or a token of no stated kind,
// from other JWTs that the same keys may sign, such as logout tokens: RFC
// 8725 section 3.11 has those say so as "<kind>+jwt".
func isAccessTokenType(typ any) bool {
	if typ == nil {
		return true
	}
	name, ok := typ.(string)
	if !ok {
		return false
	}
	kind, explicit := strings.CutSuffix(strings.ToLower(name), "+jwt")
	if !explicit {
		return true
	}
	// at+jwt is RFC 9068's; Okta writes application/okta-internal-at+jwt.
	kind = strings.TrimPrefix(kind, "application/")
	return kind == "at" || strings.HasSuffix(kind, "-at")
}

// verify checks the signature with keys, all of which fit the algorithm,
// until one verifies it.
func (c compactJWS) verify(keys []key) error {
	algorithm := jwa.SignatureAlgorithm(c.algorithm)
	if c.algorithm == algEd25519 {
		algorithm = jwa.EdDSA
	}
	verifier, err := jws.NewVerifier(algorithm)
	if err != nil {
		return invalid("the header's alg is missing or not accepted")
	}
	for _, key := range keys {
		if verifier.Verify(c.input, c.signature, key.material) == nil {
			return nil
		}
	}
	return invalid("the signature does not verify")
}
