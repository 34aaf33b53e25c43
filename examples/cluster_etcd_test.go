package examples_test

import (
	"bytes"
	"os"
	"os/exec"
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
	startTwoNodes(t, login, caddyfile, "ETCD_PASSWORD="+password, changes...).wantShared(func() {
		cluster.Leader().Kill() // one of three may go
		cluster.Leader()
	})

	// A node that says the wrong password.
	stray := edgetest.New(t)
	stray.Full, stray.Env = true, []string{"ETCD_PASSWORD=not-" + password}
	log := stray.StartRefused(here(t, stray, caddyfile, "example.com", changes...))
	if !strings.Contains(log, "check username and password") || strings.Contains(log, password) {
		t.Errorf("with the wrong password it says\n%s", log)
	}
}
