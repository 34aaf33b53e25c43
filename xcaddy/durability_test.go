package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestWhoWasToldToBeEnrolledStillIsAfterAKill(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	for round := range 4 {
		var (
			mu       sync.Mutex
			enrolled []string // tokens
			enough   = make(chan struct{})
			killed   atomic.Bool
			people   sync.WaitGroup
		)
		for i := range 6 {
			var tokens []string
			for j := range 40 {
				tokens = append(tokens, e.Token(fmt.Sprintf("person-%d-%d-%d", round, i, j), nil))
			}
			people.Go(func() {
				for _, token := range tokens {
					setup, err := edgetest.Try(e.Request("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH"}))
					data, ok := setup.JSON["data"].(map[string]any)
					if err == nil && ok {
						var verified edgetest.Answer
						verified, err = edgetest.Try(e.Request("POST", "/mfa/verify-setup", token,
							map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(t, data["secret"].(string))}))
						if err == nil && verified.Status == 200 {
							mu.Lock()
							if enrolled = append(enrolled, token); len(enrolled) == 20*(round+1) {
								close(enough)
							}
							mu.Unlock()
							continue
						}
					}
					if !killed.Load() {
						t.Errorf("before the kill: %v %s", err, setup.Body)
					}
					return
				}
			})
		}
		<-enough
		killed.Store(true)
		e.Kill()
		people.Wait()
		e.Start("")
		for _, token := range enrolled {
			if status := e.Do("GET", "/mfa/status", token, nil).Data(t); status["isEnabled"] != true || status["backupCodesRemaining"] != float64(10) {
				t.Fatalf("round %d: a person of %d is no longer enrolled: %v", round, len(enrolled), status)
			}
		}
		wantStepUp(t, e.Do("POST", "/mfa/setup", enrolled[0], map[string]any{"mfaType": "GOOGLE_AUTH"}))
	}
}

func TestAStopLetsGoOfTheDatabase(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	enrol(t, e, token)
	for range 3 {
		e.Stop()
		e.Start("")
		wantMethods(t, e, token, "GOOGLE_AUTH")
	}
}

func TestASecondProcessOnTheSameDatabaseIsToldSo(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	second := edgetest.New(t)
	second.Dir = e.Dir
	log := second.StartRefused(edgetest.Caddyfile)
	for _, want := range []string{"opening store", "mfa.db", "in use by another process"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	enrol(t, e, token)
	e.Stop()
	second.Start("")
	wantMethods(t, second, token, "GOOGLE_AUTH")
}

func TestAStartOverDamagedOrMistakenFilesIsRefusedAndOverwritesNothing(t *testing.T) {
	foreign, err := os.ReadFile(foreignKeyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	template := edgetest.New(t)
	template.Start(edgetest.Caddyfile)
	enrol(t, template, template.Token("alice", nil))
	template.Stop()
	files := map[string][]byte{}
	for _, name := range []string{"mfa.db", "mfa.key", "dev-issuer.json"} {
		if files[name], err = os.ReadFile(filepath.Join(template.Dir, "data", name)); err != nil {
			t.Fatal(err)
		}
	}
	key, db := files["mfa.key"], files["mfa.db"]
	for name, test := range map[string]struct {
		file    string
		content []byte // nil: the file is missing
		want    []string
	}{
		"missing key file":   {"mfa.key", nil, []string{"key_file", "missing", "mfa.key"}},
		"another key file":   {"mfa.key", foreign, []string{"key_file", "another key file", "mfa.key"}},
		"truncated key file": {"mfa.key", key[:len(key)/2], []string{"key_file", "damaged", "mfa.key"}},
		"empty key file":     {"mfa.key", []byte{}, []string{"key_file", "damaged", "mfa.key"}},
		"truncated database": {"mfa.db", db[:16384], []string{"opening store", "mfa.db", "backup"}},
		"empty database":     {"mfa.db", []byte{}, []string{"opening store", "mfa.db", "backup"}},
		"overwritten header": {"mfa.db", append(bytes.Repeat([]byte{0xa5}, 8192), db[8192:]...), []string{"opening store", "mfa.db", "backup"}},
		"another kind of file": {"mfa.db", []byte(strings.Repeat("SQLite format 3\x00", 1024)), []string{
			"opening store", "mfa.db", "not a caddy-mfa database"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := edgetest.New(t)
			for name, content := range files {
				if name == test.file {
					content = test.content
				}
				if content != nil {
					e.Write(filepath.Join("data", name), string(content))
				}
			}
			log := e.StartRefused(edgetest.Caddyfile)
			for _, want := range test.want {
				if !strings.Contains(log, want) {
					t.Errorf("the log does not say %q:\n%s", want, log)
				}
			}
			for name, content := range files {
				if name == test.file {
					content = test.content
				}
				now, err := os.ReadFile(filepath.Join(e.Dir, "data", name))
				if content == nil {
					if !os.IsNotExist(err) {
						t.Errorf("%s was made anew (%v)", name, err)
					}
				} else if !bytes.Equal(now, content) {
					t.Errorf("%s was changed (%v)", name, err)
				}
			}
		})
	}
	// The same files as they were are fine.
	template.Start("")
	wantMethods(t, template, template.Token("alice", nil), "GOOGLE_AUTH")
}
