package clustertest

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

// TestPeopleGoAlongFromAnyStoreToAnyOther moves a deployment from the
// embedded store to etcd, from there to PostgreSQL while people enrol, and
// back into the file.
func TestPeopleGoAlongFromAnyStoreToAnyOther(t *testing.T) {
	etcd, server := etcdtest.Start(t, etcdtest.Options{}), pgtest.New(t, "fsync=off")
	stores := map[string]string{
		"bolt":     "store bolt {\n\tpath {$DB}\n}",
		"etcd":     "store etcd {\n\tendpoints " + etcd.Endpoints()[0] + "\n}",
		"postgres": "store postgres {\n\tdsn {env.MFA_DSN}\n}",
		"file":     "store bolt {\n\tpath {$DB}.again\n}",
	}
	env := []string{"MFA_DSN=" + server.DSN(pgtest.Superuser, server.Database()), "DB=" + filepath.Join(t.TempDir(), "mfa.db")}
	c := prepare(t, Engine{Secret: pgtest.Password, Store: func(int) (string, []string) { return stores["bolt"], env }}, 1)
	node := c.Nodes[0]
	for name, option := range stores {
		node.Write(name+".Caddyfile", withStore(option))
	}
	node.Start("")
	before := []*person{c.enrolled(t), c.enrolled(t)}

	copied := func(from, to string, flags ...string) {
		t.Helper()
		args := append([]string{"mfa", "copy", "--json", "--yes", "--from", from + ".Caddyfile", "--to", to + ".Caddyfile"}, flags...)
		stdout, stderr, err := node.Command(args...)
		var result struct {
			Documents int    `json:"documents"`
			SHA256    string `json:"sha256"`
		}
		if err == nil {
			err = json.Unmarshal([]byte(stdout), &result)
		}
		if err != nil || result.Documents < len(before) || result.SHA256 == "" {
			t.Fatalf("from %s to %s: %v %s%s", from, to, err, stdout, stderr)
		}
		t.Logf("from %s to %s: %d documents", from, to, result.Documents)
	}
	serves := func(name string, spend int) {
		t.Helper()
		node.Start(withStore(stores[name]))
		for _, p := range before {
			p.login(t, c, 0, p.backup[spend]).WantMessage(t, "MFA verification successful")
			for spent := range spend + 1 {
				p.login(t, c, 0, p.backup[spent]).WantError(t, 401, "mfa_verification_failed", "")
			}
		}
	}
	node.Stop()
	copied("bolt", "etcd")
	serves("etcd", 0)

	// Nobody who was told so while the copy was made is lost.
	var mu sync.Mutex
	var told []*person
	enough := make(chan struct{})
	var people sync.WaitGroup
	for range 4 {
		people.Go(func() {
			for {
				p := &person{subject: c.subject()}
				var err error
				if p.token, err = c.token(p.subject); err != nil {
					t.Error(err)
					return
				}
				setup, err := edgetest.Try(node.Request("POST", "/mfa/setup", p.token, map[string]any{"mfaType": "GOOGLE_AUTH"}))
				data, ok := setup.JSON["data"].(map[string]any)
				if err != nil || !ok {
					if setup.Status != http.StatusServiceUnavailable {
						t.Errorf("while the store was copied: %v %d %s", err, setup.Status, setup.Body)
					}
					return // it is closed
				}
				p.begun(data)
				mu.Lock()
				if told = append(told, p); len(told) == 40 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	copied("etcd", "postgres", "--close")
	people.Wait()
	node.Stop()
	serves("postgres", 1)
	for _, p := range told {
		c.Do(t, 0, "POST", "/mfa/verify-setup", p.token, proof(edgetest.Code(t, p.secret))).WantMessage(t, "MFA setup verified and enabled")
	}
	t.Logf("%d people were told that their setup had begun while the store was copied", len(told))
	before = append(before, c.enrolled(t))
	before[2].backup = append([]string{"AAAA-AAAA-AAAA", "AAAA-AAAA-AAAA"}, before[2].backup...)
	node.Stop()
	copied("postgres", "file")
	serves("file", 2)

	// The store that was closed lets no node in any more.
	node.Stop()
	if log := node.StartRefused(withStore(stores["etcd"])); !strings.Contains(log, "closed") && !strings.Contains(log, "copied") {
		t.Errorf("with the store that was closed it says\n%s", log)
	}
}
