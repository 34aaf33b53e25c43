package main_test

import (
	"encoding/base32"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestNeitherTheDatabaseNorTheLogsTellASecret(t *testing.T) {
	e := edgetest.New(t)
	withLog := strings.Replace(edgetest.Caddyfile, "	mfa\n", "	log {\n		output file ./access.log\n	}\n	mfa\n", 1)
	e.Start(strings.Replace(withLog, "	admin {$ADMIN}\n", "	admin {$ADMIN}\n	debug\n", 1))
	secrets := map[string]string{}
	keep := func(name string, value any) { secrets[name] = fmt.Sprint(value) }

	alice := e.Token("alice-the-subject", map[string]any{"email": "alice-the-claim@example.org"})
	keep("subject", "alice-the-subject") // the log of the server names it, for audits
	keep("claimed address", "alice-the-claim@example.org")
	keep("bearer", alice)
	// A setup that is replaced, with wrong codes; one that is confirmed.
	for round := range 2 {
		setup := setupTOTP(t, e, alice)
		secret := setup["secret"].(string)
		keep(fmt.Sprintf("TOTP secret %d", round), secret)
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
		if err != nil {
			t.Fatal(err)
		}
		keep(fmt.Sprintf("raw TOTP secret %d", round), string(raw))
		for i, code := range setup["backupCodes"].([]any) {
			keep(fmt.Sprintf("backup code %d of %d", i, round), code)
			keep(fmt.Sprintf("bare backup code %d of %d", i, round), strings.ReplaceAll(code.(string), "-", ""))
		}
		verifyTOTP(e, alice, "wrong-"+wrongCode(t, secret)).WantError(t, 400, "", "")
		keep("wrong code", "wrong-"+wrongCode(t, secret))
		if round == 1 {
			code := edgetest.Code(t, secret)
			verifyTOTP(e, alice, code).WantMessage(t, "MFA setup verified and enabled")
			keep("code", `"`+code+`"`) // six digits alone may stand in any time
		}
	}
	bob := e.Token("bob-the-subject", nil)
	setupLink(e, bob, "bob-the-address@example.org").Data(t)
	keep("mail address", "bob-the-address@example.org")
	link := lastToken(t, outbox(t, e)) // the other mail tells alice of her factor
	keep("link", link)
	keep("link's secret", link[strings.LastIndexByte(link, '.')+1:])
	activate(e, link+"x").WantError(t, 400, "", "")
	activate(e, link).WantMessage(t, "Magic link MFA activated successfully")
	carol := e.Token("carol-the-subject", nil)
	keep("challenge", e.Do("POST", "/mfa/setup", carol, map[string]any{"mfaType": "PASSKEY"}).Data(t)["challenge"])
	// What is sent in error is secret too.
	e.Do("POST", "/mfa/setup", alice+"x", map[string]any{}).WantError(t, 401, "invalid_token", "")
	e.Do("GET", "/elsewhere", alice, nil)
	keep("signature of the bearer", alice[strings.LastIndexByte(alice, '.')+1:])

	log := e.Log()
	e.Stop()
	read := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	texts := map[string]string{
		"the log":        log,
		"the access log": read(filepath.Join(e.Dir, "access.log")),
	}
	if !strings.Contains(texts["the access log"], `"uri":"/mfa/verify-setup"`) {
		t.Error("the access log is no access log")
	}
	err := filepath.WalkDir(filepath.Join(e.Dir, "data"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			texts[entry.Name()] = read(path)
			if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v (%v)", path, info.Mode(), err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(texts["mfa.db"]) < 1000 {
		t.Fatalf("the database has %d bytes", len(texts["mfa.db"]))
	}
	for where, text := range texts {
		for name, secret := range secrets {
			if strings.Contains(text, secret) && (where != "the log" || name != "subject") {
				t.Errorf("%s tells the %s", where, name)
			}
		}
	}
}
