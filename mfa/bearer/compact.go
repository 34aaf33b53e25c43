package bearer

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxToken bounds a token, in bytes. Tokens that list 150 groups have over 10
// KiB.
const maxToken = 32 << 10

// compactJWS is a token taken apart (RFC 7515 section 7.1), with nothing
// verified yet.
type compactJWS struct {
	header
	input     []byte // what was signed, exactly as it was received
	payload   []byte
	signature []byte
}

// header is what is read of a token's header: nothing but alg, kid, typ and
// crit is.
type header struct {
	encoded   string // what it was read from
	algorithm string
	keyID     string // "" when the token names no key
}

// parseCompact takes a token apart and refuses all that no key could make
// good. Tokens of one issuer have the same header again and again: it is not
// read anew when it is known, which may be nil.
func parseCompact(token string, known *header) (compactJWS, error) {
	if len(token) > maxToken {
		return compactJWS{}, invalid("the token is longer than 32 KiB")
	}
	switch strings.Count(token, ".") {
	case 2:
	case 4:
		return compactJWS{}, invalid("encrypted tokens (JWE) are not accepted")
	default:
		return compactJWS{}, invalid("the token is not a JWT of three segments")
	}
	dot, lastDot := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	encoded := token[:dot]
	isKnown := known != nil && known.encoded == encoded
	var parts [3][]byte
	for i, segment := range []string{encoded, token[dot+1 : lastDot], token[lastDot+1:]} {
		if i == 0 && isKnown {
			continue
		}
		part, ok := decodeSegment(segment)
		if !ok {
			return compactJWS{}, invalid("the token is not base64url without padding")
		}
		parts[i] = part
	}
	parsed := compactJWS{input: []byte(token[:lastDot]), payload: parts[1], signature: parts[2]}
	if isKnown {
		parsed.header = *known
		return parsed, nil
	}
	read, err := parseHeader(parts[0])
	if err != nil {
		return compactJWS{}, err
	}
	parsed.header = read
	parsed.encoded = encoded
	return parsed, nil
}

// parseHeader reads all of a header but what it was read from.
func parseHeader(decoded []byte) (header, error) {
	members, err := decodeObject(decoded)
	if err != nil {
		return header{}, invalid("the header's members " + err.Error())
	}
	if _, ok := members.member("crit"); ok {
		return header{}, invalid("tokens with a crit header are not accepted")
	}
	if typ, _ := members.member("typ"); !isAccessTokenType(typ) {
		return header{}, invalid("the header's typ is not that of an access token")
	}
	var parsed header
	algorithm, _ := members.member("alg")
	parsed.algorithm, _ = algorithm.(string)
	if !isSupported(parsed.algorithm) {
		return header{}, invalid("the header's alg is missing or not accepted")
	}
	if keyID, ok := members.member("kid"); ok {
		switch keyID := keyID.(type) {
		case string:
			parsed.keyID = keyID
		case json.Number: // as some logins have it, here and in their set
			parsed.keyID = keyID.String()
		default:
			return header{}, invalid("the header's kid must be a string")
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

// signedWith reports whether one of keys, all of which fit the algorithm,
// verifies the signature.
func (c compactJWS) signedWith(keys []key) bool {
	algorithm := jwa.SignatureAlgorithm(c.algorithm)
	if c.algorithm == algEd25519 {
		algorithm = jwa.EdDSA
	}
	verifier, err := jws.NewVerifier(algorithm)
	if err != nil {
		return false // which cannot be: parseHeader has looked at the algorithm
	}
	return slices.ContainsFunc(keys, func(k key) bool {
		return verifier.Verify(c.input, c.signature, k.material) == nil
	})
}
