package mfa

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// FuzzStoredUser reads records that hold anything, as a version to come or a
// mistake may have written them. Strangers cannot: records are sealed.
func FuzzStoredUser(f *testing.F) {
	keys, _, err := seal.LoadOrCreate(filepath.Join(f.TempDir(), "mfa.key"))
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{documents: documents{keys: keys}, now: time.Now, backupCodes: 10}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"issuer":"i","subject":"a@b.","email":"a@b..","factors":[{"id":"x","type":"GOOGLE_AUTH","state":{}},{"type":"PASSKEY","state":{"id":1}}],"pending":[{"type":"MAGIC_LINK"}]}`))
	f.Add([]byte(`{"subject":"a","factors":[{"type":"MAGIC_LINK","state":{"address":"a@b."}},{"type":"NOVEL","state":null}],"sessions":[{"id":"s","expiresAt":"9999-12-31T23:59:59Z"}],"links":[{}],"organizations":["",""]}`))
	f.Add([]byte(`{"lockout":{"run":-1,"inARow":-5,"locks":1000000},"mails":["0001-01-01T00:00:00Z"],"notices":["9999-12-31T23:59:59Z"],"backupCodes":[null,"AA=="],"codesOf":"x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		key := userPrefix + accountKey("issuer", "subject")
		sealed, err := s.documents.seal(key, document)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0).UTC()
		var u user
		if s.documents.decode(key, sealed, &u) != nil {
			return
		}
		encoded, err := json.Marshal(u)
		if err != nil {
			return // a time beyond the year 9999
		}
		var again user
		if err := json.Unmarshal(encoded, &again); err != nil {
			t.Fatalf("what is written does not read: %v", err)
		}
		_, _, _ = s.documents.recentOf(key, sealed)
		_, _ = u.view(now)
		_ = u.spent(now)
		_ = u.uniqueKeys()
		_ = u.notice(EventReset, "", "a@localhost.", now)
		_ = u.session("s", now)
		_, _ = s.spendBackupCode(&u, "account", "733K-M4TY-3X6T")
		_ = u.Lockout.check(now)
		u.Lockout.fail(now, Lockout{Attempts: 5, Duration: time.Minute})
		for _, f := range u.Factors {
			_ = u.states(f.Type)
			_ = u.inUse(f.Type)
			_ = u.usable(f.Type)
		}
		u.absorb(&again, "account")
		_ = u.reset(true, now)
		if len(u.Factors) != 0 || len(u.Sessions) != 0 || len(u.BackupCodes) != 0 {
			t.Fatalf("after a reset there is %+v", u)
		}
	})
}

func FuzzBackupCode(f *testing.F) {
	keys, _, err := seal.LoadOrCreate(filepath.Join(f.TempDir(), "mfa.key"))
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{documents: documents{keys: keys}, now: time.Now}
	hashes, err := s.documents.hashCodes("account", []string{"733K-M4TY-3X6T"})
	if err != nil {
		f.Fatal(err)
	}
	for _, code := range []string{"733K-M4TY-3X6T", " 733k m4ty 3x6t", "733K-M4TY-3X6", "", "７３３Ｋ", "\xff", "733K-M4TY-3X6T\u200f"} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		normalized, ok := normalizeCode(code)
		if !ok {
			return
		}
		u := &user{BackupCodes: slices.Clone(hashes)}
		spent, known := s.spendBackupCode(u, "account", normalized)
		if spent != known || spent != (len(u.BackupCodes) == 0) || spent != (normalized == "733KM4TY3X6T") {
			t.Fatalf("%q: spent %v, known %v", code, spent, known)
		}
		if again, ok := normalizeCode(normalized); !ok || again != normalized {
			t.Fatalf("%q is normalized to %q, and then to %q", code, normalized, again)
		}
	})
}

func FuzzRefreshToken(f *testing.F) {
	keys, _, err := seal.LoadOrCreate(filepath.Join(f.TempDir(), "mfa.key"))
	if err != nil {
		f.Fatal(err)
	}
	d := documents{keys: keys}
	good, err := d.refreshToken("account", session{ID: newID(), Generation: 7})
	if err != nil {
		f.Fatal(err)
	}
	for _, token := range []string{good, good[:len(good)-1], good + "=", good + ".", "..", "", "a.1.b", "a.-1.b", "a.99999999999999999999.b"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok := d.parseRefreshToken("account", token); ok != (token == good) {
			t.Fatalf("%q is taken: %v", token, ok)
		}
		if _, ok := d.parseRefreshToken("other", token); ok {
			t.Fatalf("%q is taken for another account", token)
		}
	})
}
