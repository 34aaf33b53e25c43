package mfa

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/internal/typed"
)

// codeAlphabet is Crockford's base 32: no I, L, O or U to misread.
const codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// A code is three groups of four symbols: 60 bits.
const (
	codeGroups    = 3
	codeGroupSize = 4
)

// newBackupCodes draws n codes in the form in which they are shown.
func newBackupCodes(n int) []string {
	codes := make([]string, n)
	for i := range codes {
		var random [codeGroups * codeGroupSize]byte
		rand.Read(random[:]) // never fails: it ends the program instead
		var b strings.Builder
		for j, r := range random {
			if j > 0 && j%codeGroupSize == 0 {
				b.WriteByte('-')
			}
			b.WriteByte(codeAlphabet[r%byte(len(codeAlphabet))])
		}
		codes[i] = b.String()
	}
	return codes
}

// normalizeCode takes off what people, keyboards and paper add to a code, and
// reads the letters that the alphabet leaves out as the digits that they look
// like. ok is false for what cannot be a backup code.
func normalizeCode(text string) (code string, ok bool) {
	code, ok = typed.Code(text)
	code = strings.Map(func(r rune) rune {
		switch r {
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, strings.ToUpper(code))
	return code, ok && len(code) == codeGroups*codeGroupSize && strings.Trim(code, codeAlphabet) == ""
}

func codeLabel(account string) string { return "caddy-mfa backup code " + account }

// hashCodes returns what is kept of codes. A code has 60 random bits and
// the key is not in the database, so a fast hash is enough.
func (d documents) hashCodes(account string, codes []string) ([][]byte, error) {
	hashes := make([][]byte, len(codes))
	for i, code := range codes {
		normalized, _ := normalizeCode(code)
		hash, err := d.hash(codeLabel(account), []byte(normalized))
		if err != nil {
			return nil, fmt.Errorf("hashing backup codes: %w", err)
		}
		hashes[i] = hash
	}
	return hashes, nil
}

// spendBackupCode takes code, in its normalized form, out of the set when it
// is in it. Known reports whether it is or was.
func (s *Service) spendBackupCode(u *user, account, code string) (spent, known bool) {
	if u.CodesOf != "" {
		account = u.CodesOf
	}
	label, secret := codeLabel(account), []byte(code)
	matches := func(hash []byte) bool { return s.documents.keys.Matches(label, secret, hash) }
	if i := slices.IndexFunc(u.BackupCodes, matches); i >= 0 {
		u.SpentCodes = append(u.SpentCodes, u.BackupCodes[i])
		u.BackupCodes = slices.Delete(u.BackupCodes, i, i+1)
		return true, true
	}
	return false, slices.ContainsFunc(u.SpentCodes, matches)
}

// setBackupCodes makes hashes the set, of the level acr, and voids the one
// before. The sessions that its codes opened end, but for the one that asks.
func (u *user) setBackupCodes(hashes [][]byte, acr, asking string) {
	u.BackupCodes, u.SpentCodes, u.BackupACR, u.CodesOf = hashes, nil, codesLevel(acr), ""
	for _, s := range slices.Clone(u.Sessions) {
		if s.Method == MethodBackupCode && s.ID != asking {
			u.endSession(s.ID)
		}
	}
}

// ReplaceBackupCodes draws a fresh set, of the level that the caller has
// shown, and voids the one before, with the sessions that it opened. A
// *StepUpError is returned when the caller has not shown a factor recently,
// ErrNotEnrolled when they have none.
func (s *Service) ReplaceBackupCodes(ctx context.Context, caller Caller) ([]string, error) {
	codes := newBackupCodes(s.backupCodes)
	hashes, err := s.documents.hashCodes(caller.accountKey(), codes)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, caller, func(u *user, now time.Time) ([]Event, []*Notice, error) {
		if !u.enrolled() {
			return nil, nil, ErrNotEnrolled
		}
		u.setBackupCodes(hashes, u.session(caller.Session, now).ACR, caller.Session)
		return []Event{caller.event(EventBackupCodes, "")}, []*Notice{u.notice(EventBackupCodes, "", "", now)}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("replacing backup codes: %w", err)
	}
	return codes, nil
}
