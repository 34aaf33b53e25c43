package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

// failingApp is another app, which keeps a configuration from coming into
// force.
type failingApp struct {
	FailProvision bool `json:"fail_provision,omitempty"`
	FailStart     bool `json:"fail_start,omitempty"`
}

func init() { caddy.RegisterModule(failingApp{}) }

func (failingApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mfa_test_failing", New: func() caddy.Module { return new(failingApp) }}
}

func (f *failingApp) Provision(ctx caddy.Context) error {
	if !f.FailProvision {
		return nil
	}
	if _, err := ctx.AppIfConfigured("mfa"); err != nil { // ours comes first
		return err
	}
	return errors.New("another app cannot be provisioned")
}

func (f *failingApp) Start() error {
	if f.FailStart {
		return errors.New("another app cannot start")
	}
	return nil
}

func (f *failingApp) Stop() error { return nil }

// server is Caddy in this process, in a working folder of its own. Only
// one can be at a time.
type server struct {
	*testing.T
	address string
	storage string
}

func newServer(t *testing.T) *server {
	t.Helper()
	t.Chdir(t.TempDir())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s := &server{T: t, address: address, storage: t.TempDir()}
	processMetrics = newMetrics() // as in a process of its own
	t.Cleanup(s.stop)
	return s
}

// options are those of a server with the local issuer.
func (s *server) options(storePath, keyFile string) string {
	return fmt.Sprintf("bearer dev\npublic_url http://%s\nstore bolt {\npath %s\n}\nkey_file %s\n", s.address, storePath, keyFile)
}

// config is the JSON of a Caddyfile with a global option mfa of options,
// and with the failing app as other says, if it is not "".
func (s *server) config(options, other string) []byte {
	s.Helper()
	adapted, _, err := configtest.Adapt(configtest.Configuration(s.T, options, "http://"+s.address+" {\n\tbind 127.0.0.1\n\tmfa\n\trespond upstream\n}\n"))
	if err != nil {
		s.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(adapted, &config); err != nil {
		s.Fatal(err)
	}
	// One folder for all configurations.
	config["storage"].(map[string]any)["root"] = s.storage
	if other != "" {
		config["apps"].(map[string]any)["mfa_test_failing"] = json.RawMessage(other)
	}
	config["admin"].(map[string]any)["config"] = map[string]any{"persist": false}
	adapted, err = json.Marshal(config)
	if err != nil {
		s.Fatal(err)
	}
	return adapted
}

func (s *server) load(config []byte) {
	s.Helper()
	if err := caddy.Load(config, true); err != nil {
		s.Fatal(err)
	}
}

func (s *server) stop() {
	s.Helper()
	if err := caddy.Stop(); err != nil {
		s.Error(err)
	}
}

// setup begins an enrolment of subject and returns the answer's status.
func (s *server) setup(subject string) int {
	s.Helper()
	issuer, err := bearer.OpenDevIssuer(filepath.Join("data", "dev-issuer.json"))
	if err != nil {
		s.Fatal(err)
	}
	token, err := issuer.Sign(map[string]any{"sub": subject})
	if err != nil {
		s.Fatal(err)
	}
	status, err := s.post(token)
	if err != nil {
		s.Fatal(err)
	}
	return status
}

// post begins an enrolment of the person that token names. Right after a
// reload, the kernel may hand a connection to the listener that Caddy is
// closing: that one is tried again.
func (s *server) post(token string) (status int, err error) {
	for range 50 {
		if status, err = s.tryPost(token); err == nil {
			break
		}
	}
	return status, err
}

func (s *server) tryPost(token string) (int, error) {
	r, err := http.NewRequest(http.MethodPost, "http://"+s.address+"/mfa/setup", strings.NewReader(`{"mfaType":"GOOGLE_AUTH"}`))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// poolKey is that of the store at path.
func poolKey(t *testing.T, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return "bolt:" + absolute
}

// wantUsers checks how many configurations hold the store at path open.
func wantUsers(t *testing.T, path string, want int) {
	t.Helper()
	got := 0
	states.pool.Range(func(key, value any) bool {
		if strings.Contains(key.(string), `"`+poolKey(t, path)+`"`) {
			users, _ := states.pool.References(key)
			got += users
		}
		return true
	})
	if got != want {
		t.Errorf("the store at %s has %d users, want %d", path, got, want)
	}
	if users, _ := open.pool.References(poolKey(t, path)); users != min(want, 1) {
		t.Errorf("the store at %s is opened for %d", path, users)
	}
}

// wantFree checks that nobody holds the store at path open.
func wantFree(t *testing.T, path string) {
	t.Helper()
	wantUsers(t, path, 0)
	st, err := bolt.Open(path)
	if err != nil {
		t.Errorf("the store is not released: %v", err)
		return
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

func TestReloadsShareTheStoreHoweverItsPathIsWritten(t *testing.T) {
	s := newServer(t)
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"data/mfa.db", "./data/mfa.db", "data//mfa.db", "data/../data/./mfa.db", filepath.Join(folder, "data", "mfa.db"), "data/mfa.db",
	} {
		s.load(s.config(s.options(path, "data/mfa.key"), ""))
		wantUsers(t, "data/mfa.db", 1)
		if status := s.setup("alice"); status != http.StatusOK {
			t.Errorf("with the path %s the answer is %d", path, status)
		}
	}
	s.stop()
	wantFree(t, "data/mfa.db")
}

func TestARejectedReloadLeavesTheOldConfigurationAlive(t *testing.T) {
	s := newServer(t)
	good := s.options("data/mfa.db", "data/mfa.key")
	s.load(s.config(good, ""))
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	if err := os.WriteFile("notes.txt", bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("data", "linked"); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		config []byte
		want   string
	}{
		{"another app fails in Provision", s.config(good, `{"fail_provision":true}`), "another app cannot be provisioned"},
		{"another app fails in Start", s.config(good, `{"fail_start":true}`), "another app cannot start"},
		{"bad option", s.config(good+"backup_codes 51", ""), "backup_codes"},
		{"other keys", s.config(s.options("data/mfa.db", "data/other.key"), ""), "key_file"},
		{"no database", s.config(s.options("notes.txt", "data/mfa.key"), ""), "opening store"},
		{"the store by another name", s.config(s.options("linked/mfa.db", "data/mfa.key"), ""), "opening store"},
		{"a site that strangers reach", bytes.ReplaceAll(s.config(good, ""), []byte(`"listen":["127.0.0.1:`), []byte(`"listen":["0.0.0.0:`)), "bind 127.0.0.1"},
		{"an address in use", bytes.ReplaceAll(s.config(good, ""), []byte(`"listen":["`+s.address), []byte(`"listen":["`+occupied.Addr().String())), "address already in use"},
	} {
		t.Run(row.name, func(t *testing.T) {
			// Caddy takes the apps in no particular order.
			for range 8 {
				err := caddy.Load(row.config, true)
				if err == nil || !strings.Contains(err.Error(), row.want) {
					t.Fatalf("loading gives %v, want an error with %q", err, row.want)
				}
				wantUsers(t, "data/mfa.db", 1)
				if status := s.setup("alice"); status != http.StatusOK {
					t.Fatalf("afterwards the answer is %d", status)
				}
				if row.name == "the store by another name" {
					break // it waits a second for the lock
				}
			}
		})
	}
	s.load(s.config(good, "{}"))
	wantUsers(t, "data/mfa.db", 1)
	s.stop()
	wantFree(t, "data/mfa.db")
}

func TestAnotherStoreTakesThePlaceOfTheOld(t *testing.T) {
	s := newServer(t)
	s.load(s.config(s.options("data/one.db", "data/mfa.key"), ""))
	s.load(s.config(s.options("data/two.db", "data/mfa.key"), ""))
	wantFree(t, "data/one.db")
	wantUsers(t, "data/two.db", 1)
	if status := s.setup("alice"); status != http.StatusOK {
		t.Errorf("answer is %d", status)
	}
	s.load([]byte(`{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}}}`))
	wantFree(t, "data/two.db")
}

func TestAFirstStartThatFailsLeavesNothingOpen(t *testing.T) {
	s := newServer(t)
	for range 4 {
		if err := caddy.Load(s.config(s.options("data/mfa.db", "data/mfa.key"), `{"fail_start":true}`), true); err == nil {
			t.Fatal("the configuration is accepted")
		}
		wantUsers(t, "data/mfa.db", 0)
	}
	s.load(s.config(s.options("data/mfa.db", "data/mfa.key"), ""))
	if status := s.setup("alice"); status != http.StatusOK {
		t.Errorf("answer is %d", status)
	}
}

func TestValidationRunsBesideAServerAndTouchesNothing(t *testing.T) {
	s := newServer(t)
	good := s.options("data/mfa.db", "data/mfa.key")
	s.load(s.config(good, ""))
	before := files(t)
	for _, options := range []string{good, s.options("data/other.db", "data/other.key"), s.options("linked/mfa.db", "elsewhere/mfa.key")} {
		if err := configtest.ValidateJSON(s.config(options, "")); err != nil {
			t.Error(err)
		}
	}
	if after := files(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("there is now %q, before there was %q", after, before)
	}
	wantUsers(t, "data/mfa.db", 1)
	if status := s.setup("alice"); status != http.StatusOK {
		t.Errorf("afterwards the answer is %d", status)
	}
}

func TestRequestsDuringReloadsAreServed(t *testing.T) {
	s := newServer(t)
	config := s.config(s.options("data/mfa.db", "data/mfa.key"), "")
	s.load(config)
	issuer, err := bearer.OpenDevIssuer(filepath.Join("data", "dev-issuer.json"))
	if err != nil {
		t.Fatal(err)
	}
	const clients, each = 4, 25
	answered := make(chan struct{})
	var group sync.WaitGroup
	for i := range clients {
		token, err := issuer.Sign(map[string]any{"sub": fmt.Sprint("person ", i)})
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			for range each {
				if status, err := s.post(token); err != nil || status != http.StatusOK {
					t.Errorf("answer is %d (%v)", status, err)
				}
			}
		})
	}
	go func() {
		group.Wait()
		close(answered)
	}()
	reloads := 0
	for over := false; !over; reloads++ {
		s.load(config)
		select {
		case <-answered:
			over = true
		default:
		}
	}
	t.Logf("%d requests were answered during %d reloads", clients*each, reloads)
	if reloads < 3 {
		t.Errorf("only %d reloads: no test", reloads)
	}
}
