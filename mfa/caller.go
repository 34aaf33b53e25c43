package mfa

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Caller is the person a request speaks for, as a verified access token
// names them. Issuer and Subject together are the person; the rest is
// what today's token says.
type Caller struct {
	Issuer  string
	Subject string
	Email   string // "" when the token claims none
	// AuthTime is when the person last signed in, as far as the token
	// tells: its auth_time, else its iat. Zero when it has neither.
	AuthTime time.Time
}

// accountKeyLength is the length of every account key.
var accountKeyLength = base64.RawURLEncoding.EncodedLen(sha256.Size)

// accountKey names the record of a person: a hash of issuer and subject,
// so that it has one length whatever an issuer calls its people. The
// issuer's length keeps the border between the two from being moved.
func (c Caller) accountKey() string {
	h := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(c.Issuer)))
	h.Write(length[:])
	h.Write([]byte(c.Issuer))
	h.Write([]byte(c.Subject))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// name is what the person recognises the account by.
func (c Caller) name() string {
	if c.Email != "" {
		return c.Email
	}
	return c.Subject
}
