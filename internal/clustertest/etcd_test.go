package clustertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
)

func TestAClusterOnEtcd(t *testing.T) {
	for name, program := range etcdtest.Programs {
		t.Run(name, func(t *testing.T) {
			Run(t, func(t *testing.T) Engine { return etcd(t, program) })
		})
	}
}

func etcd(t *testing.T, program etcdserver.Program) Engine {
	engine, _, _ := etcdWith(t, program, "2s")
	return engine
}

// etcdWith starts three members. Each node reaches each of them by a proxy of
// its own.
func etcdWith(t *testing.T, program etcdserver.Program, timeout string) (Engine, *etcdtest.Cluster, [][]*faultproxy.Proxy) {
	cluster := etcdtest.Start(t, etcdtest.Options{Program: program, Members: 3})
	proxies := make([][]*faultproxy.Proxy, nodes)
	for node := range proxies {
		for _, m := range cluster.Members {
			proxies[node] = append(proxies[node], faultproxy.New(t, m.Address))
		}
	}
	all := func(do func(*faultproxy.Proxy)) func(node int) {
		return func(node int) {
			for _, proxy := range proxies[node] {
				do(proxy)
			}
		}
	}
	return Engine{
		Store: func(node int) (string, []string) {
			var addresses, env []string
			for i, proxy := range proxies[node] {
				env = append(env, fmt.Sprintf("ETCD_%d=%s", i, proxy.Address))
				addresses = append(addresses, fmt.Sprintf("{env.ETCD_%d}", i))
			}
			return "store etcd {\n\tendpoints " + strings.Join(addresses, " ") + "\n\ttimeout " + timeout + "\n}", env
		},
		Cut:     all((*faultproxy.Proxy).Cut),
		Silence: all((*faultproxy.Proxy).Silence),
		Mend:    all(func(proxy *faultproxy.Proxy) { proxy.Mend(t) }),
		Crashes: map[string]func(){
			"all members": func() {
				cluster.Kill()
				cluster.Restart()
			},
			"the leader, which stays away": func() {
				cluster.Restart() // the one before
				cluster.Leader().Kill()
			},
			"the leader hangs until another is elected": func() {
				cluster.Restart()
				leader := cluster.Leader()
				leader.Hold()
				cluster.Leader()
				leader.Resume()
				cluster.Await()
			},
		},
	}, cluster, proxies
}
