package mfa

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Caller is the person a request speaks for, as a verified access token
// names them, with what else the request brought. Issuer and Subject
// together are the person; the rest is what today's token says.
type Caller struct {
	Issuer  string
	Subject string
	// Claimed is the subject as the token writes it, where Subject is an e-mail
	// address in another case; "" otherwise.
	Claimed string
	Email   string // "" when the token claims none
	// Organizations and Roles are what the token claims, nil for none.
	Organizations []string
	Roles         []string
	// AuthTime is when the person last signed in, as far as the token
	// tells: its auth_time, else its iat. Zero when it has neither.
	AuthTime time.Time

	// Token is the access token itself. An assertion carries it on.
	Token string
	// Session is that of the live assertion that came along, "" for none.
	// The record decides what it is worth.
	Session string
	// Client is where the request comes from.
	Client Client
}

// Client is the device and the place that a request comes from, for
// people and logs to recognise. It proves nothing.
type Client struct {
	IP        string
	UserAgent string
}

// accountKeyLength is the length of every account key.
var accountKeyLength = base64.RawURLEncoding.EncodedLen(sha256.Size)

// accountKey names the record of the caller.
func (c Caller) accountKey() string { return accountKey(c.Issuer, c.Subject) }

// accountKey names the record of a person: a hash of issuer and subject,
// so that it has one length whatever an issuer calls its people.
func accountKey(issuer, subject string) string { return pairKey(issuer, subject) }

// pairKey is a hash of issuer and of what it calls one of its people or
// organizations. The issuer's length keeps the border between the two
// from being moved.
func pairKey(issuer, name string) string {
	h := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(issuer)))
	h.Write(length[:])
	h.Write([]byte(issuer))
	h.Write([]byte(name))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// name is what the person recognises the account by.
func (c Caller) name() string {
	if c.Email != "" {
		return c.Email
	}
	return c.claimedSubject()
}

// claimedSubject is the subject as the token writes it.
func (c Caller) claimedSubject() string {
	if c.Claimed != "" {
		return c.Claimed
	}
	return c.Subject
}
