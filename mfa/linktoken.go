package mfa

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// A mailed token says whose it is, because its opener brings nothing else, and
// anybody can make up one that says so. So that no such token has the store
// read, it also carries when it ends at the latest and a keyed hash of both,
// which is checked before anything else:
//
//	account ~ end ~ hash . secret
//
// It proves nothing more: whether the secret is that of a link, the record
// says.

// linkLifetime is the longest that a mailed link may be good.
const linkLifetime = 24 * time.Hour

// linkProofSize is the size of the hash in bytes.
const linkProofSize = 16

// linkOwner returns what stands before the secret in a link of account that is
// made at now.
func (d documents) linkOwner(account string, now time.Time) (string, error) {
	named := account + "~" + strconv.FormatInt(now.Add(linkLifetime).Unix(), 36)
	hash, err := d.hash(linkLabel, []byte(named))
	if err != nil {
		return "", fmt.Errorf("making link: %w", err)
	}
	return named + "~" + base64.RawURLEncoding.EncodeToString(hash[len(hash)-linkProofSize:]), nil
}

const linkLabel = "caddy-mfa link"

// readLink returns a mailed token in the form that links are recognised by,
// account and secret. ErrWrongProof is returned for one that was never mailed,
// store.ErrUnavailable while this node must stay out. It reads nothing of the
// store.
func (d documents) readLink(token string, now time.Time) (string, error) {
	const longest = 256
	owner, secret, _ := strings.Cut(token, ".")
	parts := strings.Split(owner, "~")
	if len(token) > longest || len(parts) != 3 {
		return "", errDeadLink
	}
	end, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil || now.Unix() >= end {
		return "", errDeadLink
	}
	proof, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(proof) != linkProofSize {
		return "", errDeadLink
	}
	hashes, err := d.keys.Hashes(linkLabel, []byte(parts[0]+"~"+parts[1]))
	if err != nil {
		return "", fmt.Errorf("%w: reading link: %w", store.ErrUnavailable, err)
	}
	for _, hash := range hashes {
		if subtle.ConstantTimeCompare(hash[len(hash)-linkProofSize:], proof) == 1 {
			return parts[0] + "." + secret, nil
		}
	}
	return "", errDeadLink
}
