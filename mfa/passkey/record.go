package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

const (
	// maxTransports and maxTransport bound what is kept of the client's
	// hints: how many of them, and their length in bytes.
	maxTransports = 8
	maxTransport  = 32
)

// record is the state of a confirmed passkey: the credential record of
// WebAuthn Level 3, section 4, as far as assertions need it.
type record struct {
	ID        protocol.URLEncodedBase64 `json:"id"`
	PublicKey protocol.URLEncodedBase64 `json:"publicKey"` // a COSE key
	Algorithm int64                     `json:"algorithm"` // its COSE algorithm
	AAGUID    protocol.URLEncodedBase64 `json:"aaguid"`
	SignCount uint32                    `json:"signCount"`

	// UserVerified says that the authenticator checked the person when
	// the passkey was made. BackupEligible never changes afterwards, so
	// an assertion that says otherwise is of another authenticator.
	UserVerified   bool `json:"userVerified"`
	BackupEligible bool `json:"backupEligible"`
	BackupState    bool `json:"backupState"`

	// Transports and Attachment are the client's word and only hints.
	Transports []protocol.AuthenticatorTransport `json:"transports,omitempty"`
	Attachment protocol.AuthenticatorAttachment  `json:"attachment,omitempty"`
}

// newRecord keeps what is needed of a verified credential.
func newRecord(verified *webauthn.Credential, algorithm int64) record {
	return record{
		ID:             verified.ID,
		PublicKey:      verified.PublicKey,
		Algorithm:      algorithm,
		AAGUID:         verified.Authenticator.AAGUID,
		SignCount:      verified.Authenticator.SignCount,
		UserVerified:   verified.Flags.UserVerified,
		BackupEligible: verified.Flags.BackupEligible,
		BackupState:    verified.Flags.BackupState,
		Transports:     plausible(verified.Transport),
		Attachment:     verified.Authenticator.Attachment,
	}
}

// credential returns the record in go-webauthn's terms, as far as an
// assertion is checked against it.
func (r record) credential() webauthn.Credential {
	return webauthn.Credential{
		ID:            r.ID,
		PublicKey:     r.PublicKey,
		Flags:         webauthn.CredentialFlags{UserVerified: r.UserVerified, BackupEligible: r.BackupEligible, BackupState: r.BackupState},
		Authenticator: webauthn.Authenticator{AAGUID: r.AAGUID, SignCount: r.SignCount},
	}
}

// readRecord reads the state of a confirmed passkey.
func readRecord(state json.RawMessage) (record, error) {
	var kept record
	if err := json.Unmarshal(state, &kept); err != nil {
		return record{}, fmt.Errorf("reading stored passkey: %w", err)
	}
	if len(kept.ID) == 0 {
		return record{}, errors.New("reading stored passkey: it has no credential ID")
	}
	return kept, nil
}

// descriptors names the passkeys that an account has: at setup, so that the
// browser makes no second one on the same authenticator; at login, so that
// it asks for one of them.
func descriptors(states []json.RawMessage) ([]protocol.CredentialDescriptor, error) {
	named := make([]protocol.CredentialDescriptor, len(states))
	for i, state := range states {
		kept, err := readRecord(state)
		if err != nil {
			return nil, err
		}
		named[i] = protocol.CredentialDescriptor{
			Type:         protocol.PublicKeyCredentialType,
			CredentialID: kept.ID,
			Transport:    kept.Transports,
		}
	}
	return named, nil
}

// plausible returns the transports that look like the specification's.
// New ones may come, so unknown words are kept; anything else is not.
func plausible(transports []protocol.AuthenticatorTransport) []protocol.AuthenticatorTransport {
	var kept []protocol.AuthenticatorTransport
	seen := make(map[protocol.AuthenticatorTransport]bool)
	for _, transport := range transports {
		odd := strings.ContainsFunc(string(transport), func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
		})
		if odd || transport == "" || len(transport) > maxTransport || seen[transport] {
			continue
		}
		seen[transport] = true
		if kept = append(kept, transport); len(kept) == maxTransports {
			break
		}
	}
	return kept
}
