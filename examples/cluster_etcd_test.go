package examples_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

func TestNodesShareAnEtcdCluster(t *testing.T) {
	const password = "an-etcd-password"
	etcdctl, sh := testtool.Need(t, "etcdctl"), testtool.Need(t, "sh")
	files := etcdtest.NewTLS(t)
	cluster, login := etcdtest.Start(t, etcdtest.Options{Members: 3, TLS: files}), issuertest.Start(t)
	control := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+strings.Join(cluster.Endpoints(), ","),
			"ETCDCTL_CACERT="+files.CA, "ETCDCTL_CERT="+files.Cert, "ETCDCTL_KEY="+files.Key)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, bytes.TrimSpace(out))
		}
	}
	// It asks twice.
	control(password+"\n"+password+"\n", sh, "cluster-etcd/grant.sh")
	control("", etcdctl, "role", "add", "root")
	control("", etcdctl, "user", "add", "root:"+password)
	control("", etcdctl, "user", "grant-role", "root", "root")
	control("", etcdctl, "auth", "enable")

	caddyfile := read(t, "cluster-etcd/Caddyfile")
	changes := []string{
		"https://login.example.com", login.URL, "/etc/caddy-mfa/mfa.key", "./mfa.key",
		"/etc/caddy-mfa/etcd-ca.pem", files.CA, "/etc/caddy-mfa/etcd-cert.pem", files.Cert, "/etc/caddy-mfa/etcd-key.pem", files.Key,
	}
	for i, endpoint := range cluster.Endpoints() {
		changes = append(changes, "https://etcd-"+string(rune('1'+i))+".internal:2379", endpoint)
	}
	var nodes []*edgetest.Edge
	for i := range 2 {
		e := edgetest.New(t)
		e.Full = true
		e.Env = []string{"ETCD_PASSWORD=" + password}
		if i == 0 {
			wantValid(t, e, caddyfile)
		} else {
			// As step 4 of the README says.
			key, err := os.ReadFile(filepath.Join(nodes[0].Dir, "mfa.key"))
			if err != nil {
				t.Fatal(err)
			}
			e.Write("mfa.key", string(key))
		}
		// Both are reached as https://example.com, which is not here.
		e.Start(here(t, e, caddyfile, "example.com", changes...))
		nodes = append(nodes, e)
	}
	bearer := func(e *edgetest.Edge) string {
		return login.Token(claims("alice", map[string]any{"iss": login.URL, "aud": e.URL}))
	}
	setup := nodes[0].Do("POST", "/mfa/setup", bearer(nodes[0]), map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
	cluster.Leader().Kill() // one of three may go
	cluster.Leader()
	answer := nodes[1].Do("POST", "/mfa/verify-setup", bearer(nodes[1]),
		map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(t, setup["secret"].(string))})
	answer.WantMessage(t, "MFA setup verified and enabled")
	wantShut(t, nodes[1], "/admin/users", bearer(nodes[1]))
	wantOpen(t, nodes[1], "/admin/users", answer.JSON["fullAccessToken"].(string))
	if status := nodes[0].Do("GET", "/mfa/status", bearer(nodes[0]), nil).Data(t); status["isEnabled"] != true {
		t.Errorf("the other node says %v", status)
	}

	// A node that says the wrong password.
	stray := edgetest.New(t)
	stray.Full, stray.Env = true, []string{"ETCD_PASSWORD=not-" + password}
	log := stray.StartRefused(here(t, stray, caddyfile, "example.com", changes...))
	if !strings.Contains(log, "check username and password") || strings.Contains(log, password) {
		t.Errorf("with the wrong password it says\n%s", log)
	}
}
