package mfa

import "github.com/caddymfa/caddy-mfa/mfa/factor"

// Authentication levels (acr), weakest first: a link by e-mail, any other
// second factor, and one that cannot be phished.
const (
	ACRMail = "mail"
	ACRMFA  = "mfa"
	ACRPhR  = "phr"
)

// acrLevels orders the levels.
var acrLevels = map[string]int{ACRMail: 1, ACRMFA: 2, ACRPhR: 3}

// KnownACR reports whether acr is a level that assertions carry.
func KnownACR(acr string) bool { return acrLevels[acr] > 0 }

// ACRSatisfies reports whether the level got is at least want. A level that is
// not known satisfies nothing.
func ACRSatisfies(got, want string) bool {
	return acrLevels[want] > 0 && acrLevels[got] >= acrLevels[want]
}

// levelOf returns the level that a factor of type t proves.
func levelOf(t factor.Type) string {
	switch t {
	case factor.TypePasskey:
		return ACRPhR
	case factor.TypeTOTP:
		return ACRMFA
	}
	return ACRMail
}

// stronger returns the higher of two levels; "" is below all.
func stronger(a, b string) string {
	if acrLevels[b] > acrLevels[a] {
		return b
	}
	return a
}

// weaker returns the lower of two levels.
func weaker(a, b string) string {
	if acrLevels[b] < acrLevels[a] {
		return b
	}
	return a
}

// strongest returns the level of the strongest factor in use, "" when there
// is none.
func (u *user) strongest() string {
	acr := ""
	for _, t := range u.methods() {
		acr = stronger(acr, levelOf(t))
	}
	return acr
}

// codesLevel returns the level of backup codes that are made on the strength
// of the given level: a code is worth no more than that, and never more than
// mfa, because it can be phished.
func codesLevel(acr string) string { return weaker(acr, ACRMFA) }

// upgrade fills in what records of older versions lack. They do not say at
// which level backup codes were made: those of a person who has nothing but
// mail in use were, as far as can be told, made on the strength of a mail.
func (u *user) upgrade() {
	if u.BackupACR != "" || len(u.BackupCodes)+len(u.SpentCodes) == 0 {
		return
	}
	u.BackupACR = codesLevel(stronger(u.strongest(), ACRMail))
	for i := range u.Sessions {
		if s := &u.Sessions[i]; s.Method == MethodBackupCode {
			s.ACR = weaker(s.ACR, u.BackupACR)
		}
	}
}
