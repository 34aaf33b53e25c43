package etcd

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

const password = "hunter2-hunter2"

// demand turns etcd's authentication on: the user caddy may do anything
// below acme/, the user stranger nothing.
func demand(t *testing.T, cluster *etcdtest.Cluster) {
	t.Helper()
	ctx := context.Background()
	client := cluster.Client()
	step := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	step(client.RoleAdd(ctx, "root"))
	step(client.RoleAdd(ctx, "mfa"))
	step(client.RoleGrantPermission(ctx, "mfa", "acme/", clientv3.GetPrefixRangeEnd("acme/"), clientv3.PermissionType(clientv3.PermReadWrite)))
	for user, role := range map[string]string{"root": "root", "caddy": "mfa", "stranger": ""} {
		step(client.UserAdd(ctx, user, password))
		if role != "" {
			step(client.UserGrantRole(ctx, user, role))
		}
	}
	step(client.AuthEnable(ctx))
}

func TestAUserWhoMayTouchThePrefixAloneWillDo(t *testing.T) {
	for name, program := range etcdtest.Programs {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			cluster := etcdtest.Start(t, etcdtest.Options{Program: program})
			demand(t, cluster)
			config := Config{Endpoints: cluster.Endpoints(), Prefix: "acme", Username: "caddy", Password: password}
			s, other := mustOpen(t, config), mustOpen(t, config)
			check := func(value string) {
				t.Helper()
				mustPut(t, s, "a", value)
				mustHold(t, other, "a", value)
				if page, err := s.List(ctx, "", "", 10); err != nil || len(page) != 1 {
					t.Fatalf("List: %v, %v", page, err)
				}
				_, version, err := s.GetVersion(ctx, "a")
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]int64{"a": version, "b": 0}
				mustChange(t, s, seen)
				mustPut(t, other, "a", value+"!")
				mustChange(t, s, seen, "a")
			}
			check("1")
			// The tokens that etcd has given out go with the process.
			cluster.Kill()
			cluster.Member(0).Start()
			eventually(t, "the store is back", func() bool { return put(s, "a", "2") == nil })
			check("3")
			eventually(t, "the watch is back", func() bool { return s.facts.reach(ctx, 0) })

			for what, wrong := range map[string]struct {
				Config
				want string
			}{
				"no user":        {Config{Prefix: "acme"}, "username and password"},
				"wrong password": {Config{Prefix: "acme", Username: "caddy", Password: "wrong"}, "check username and password"},
				"another prefix": {Config{Prefix: "other", Username: "caddy", Password: password}, `keys that begin with "other/"`},
				"no permission":  {Config{Prefix: "acme", Username: "stranger", Password: password}, `keys that begin with "acme/"`},
			} {
				wrong.Endpoints = cluster.Endpoints()
				mustRefuse(t, what, wrong.Config, wrong.want)
			}
		})
	}
}

// mustRefuse checks that Open tells that something is to be mended.
func mustRefuse(t *testing.T, what string, config Config, want string) {
	t.Helper()
	s, err := Open(context.Background(), config)
	if err == nil {
		_ = s.Close()
		t.Errorf("%s: it is opened", what)
		return
	}
	t.Log(err)
	if errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%s: it is said to go away by itself: %v", what, err)
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), password) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestConnectionsAreEncryptedAndBothSidesShowWhoTheyAre(t *testing.T) {
	for name, program := range etcdtest.Programs {
		t.Run(name, func(t *testing.T) {
			ours, foreign := etcdtest.NewTLS(t), etcdtest.NewTLS(t)
			cluster := etcdtest.Start(t, etcdtest.Options{Program: program, TLS: ours})
			s := mustOpen(t, Config{Endpoints: cluster.Endpoints(), TLS: &TLS{CA: ours.CA, Cert: ours.Cert, Key: ours.Key}})
			mustPut(t, s, "a", "1")
			mustHold(t, mustOpen(t, Config{
				Endpoints: []string{cluster.Members[0].Address}, // without https
				TLS:       &TLS{CA: ours.CA, Cert: ours.Cert, Key: ours.Key, ServerName: "localhost"},
			}), "a", "1")

			mustRefuse(t, "foreign authority", Config{Endpoints: cluster.Endpoints(),
				TLS: &TLS{CA: foreign.CA, Cert: ours.Cert, Key: ours.Key}}, "x509: certificate signed by unknown authority")
			mustRefuse(t, "authorities of the system", Config{Endpoints: cluster.Endpoints()}, "x509: ")
			mustRefuse(t, "another name", Config{Endpoints: cluster.Endpoints(),
				TLS: &TLS{CA: ours.CA, Cert: ours.Cert, Key: ours.Key, ServerName: "other.example.com"}}, "other.example.com")
			mustRefuse(t, "no such file", Config{Endpoints: cluster.Endpoints(), TLS: &TLS{CA: "/nowhere/ca.pem"}}, "/nowhere/ca.pem")
			for what, wrong := range map[string]Config{
				"no certificate":        {Endpoints: cluster.Endpoints(), TLS: &TLS{CA: ours.CA}},
				"foreign certificate":   {Endpoints: cluster.Endpoints(), TLS: &TLS{CA: ours.CA, Cert: foreign.Cert, Key: foreign.Key}},
				"in the clear":          {Endpoints: []string{cluster.Members[0].Address}},
				"nobody at the address": {Endpoints: []string{"127.0.0.1:1"}},
			} {
				wrong.Timeout = 2 * time.Second
				if s, err := Open(context.Background(), wrong); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: %v", what, err)
					if err == nil {
						_ = s.Close()
					}
				} else {
					t.Log(err)
				}
			}
		})
	}
}

func TestACertificateCanBeRenewed(t *testing.T) {
	authority := etcdtest.NewTLS(t)
	cluster := etcdtest.Start(t, etcdtest.Options{TLS: authority})
	// What the store shows first is not taken. Nobody restarts it.
	own, foreign := etcdserver.TLS{CA: authority.CA, Cert: t.TempDir() + "/cert.pem", Key: t.TempDir() + "/key.pem"}, etcdtest.NewTLS(t)
	give := func(from *etcdserver.TLS) {
		t.Helper()
		for source, target := range map[string]string{from.Cert: own.Cert, from.Key: own.Key} {
			content, err := os.ReadFile(source)
			if err == nil {
				err = os.WriteFile(target, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	give(authority)
	s := mustOpen(t, Config{Endpoints: cluster.Endpoints(), TLS: &TLS{CA: own.CA, Cert: own.Cert, Key: own.Key}, Timeout: 2 * time.Second})
	mustPut(t, s, "a", "1")
	give(foreign)
	cluster.Kill()
	cluster.Restart()
	if err := put(s, "a", "2"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with the foreign certificate: %v", err)
	}
	give(authority)
	eventually(t, "the store is back", func() bool { return put(s, "a", "3") == nil })
}
