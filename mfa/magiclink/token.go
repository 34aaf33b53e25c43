package magiclink

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// secretSize is the size of a token's secret in bytes.
const secretSize = 32

// newToken returns a token for the account and the hash of its secret.
// The token is accountKey + "." + the secret in base64url without
// padding, and needs no escaping in a URL's fragment.
func newToken(accountKey string) (token string, secretHash []byte, err error) {
	if !isURLSafe(accountKey) {
		return "", nil, errors.New("magic link: the account key is not URL-safe")
	}
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails (crypto/rand)
	hash := sha256.Sum256(secret)
	return accountKey + "." + base64.RawURLEncoding.EncodeToString(secret), hash[:], nil
}

// HashToken takes a token apart: the key of the account that it was made
// for, so that the account can be found without a bearer, and the SHA-256
// of its secret, which a Link or a pending setup is recognised by. It
// checks the token's form alone. ok is false when token cannot be one of
// ours. A secret has one spelling only.
func HashToken(token string) (accountKey string, hash []byte, ok bool) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || !isURLSafe(token[:dot]) {
		return "", nil, false
	}
	// The decoder skips line breaks; the length keeps them out.
	if len(token)-dot-1 != base64.RawURLEncoding.EncodedLen(secretSize) {
		return "", nil, false
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(token[dot+1:])
	if err != nil || len(secret) != secretSize {
		return "", nil, false
	}
	sum := sha256.Sum256(secret)
	return token[:dot], sum[:], true
}

// isURLSafe reports whether key is made of 1 to 512 unreserved
// characters (RFC 3986 section 2.3).
func isURLSafe(key string) bool {
	if key == "" || len(key) > 512 {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if !isLetterOrDigit(c) && !strings.ContainsRune("-._~", rune(c)) {
			return false
		}
	}
	return true
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
