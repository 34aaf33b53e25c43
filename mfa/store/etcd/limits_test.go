package etcd

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestAClusterThatTakesLessThanItsDefaultsSaysSo(t *testing.T) {
	cluster := etcdtest.Start(t, etcdtest.Options{Flags: []string{"--max-request-bytes", "65536"}})
	s := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
	err := put(s, "a", strings.Repeat("x", 100_000))
	if !errors.Is(err, store.ErrTooLarge) || !strings.Contains(err.Error(), "--max-request-bytes") {
		t.Errorf("got %v", err)
	}
	mustPut(t, s, "a", "1")
}

func TestAFullClusterIsReadAndSaysWhatHelps(t *testing.T) {
	cluster := etcdtest.Start(t, etcdtest.Options{Flags: []string{"--quota-backend-bytes", "4000000"}})
	s := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
	mustPut(t, s, "a", "1")
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = put(s, "large", strings.Repeat("x", 500_000))
	}
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, rpctypes.ErrNoSpace) || !strings.Contains(err.Error(), "--quota-backend-bytes") {
		t.Errorf("got %v", err)
	}
	mustHold(t, s, "a", "1")
	if _, err := s.Changed(context.Background(), map[string]int64{"a": 1}); err != nil {
		t.Error(err)
	}
	// Room is made as the message says.
	client := cluster.Client()
	ctx := context.Background()
	answer, err := client.Get(ctx, "x")
	if err == nil {
		_, err = client.Compact(ctx, answer.Header.Revision)
	}
	if err == nil {
		_, err = client.Defragment(ctx, cluster.Members[0].Endpoint)
	}
	if err != nil {
		t.Fatal(err)
	}
	alarms, err := client.AlarmList(ctx)
	if err != nil || len(alarms.Alarms) != 1 {
		t.Fatalf("%v, %v", alarms, err)
	}
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "a", "2")
}

func TestVersionsBeforeThreeFourAreRefused(t *testing.T) {
	for version, ok := range map[string]bool{
		"3.4.0": true, "3.4.23": true, "3.5.21": true, "3.7.3": true, "3.8.0-alpha.0": true, "4.0.0": true, "3.10.1": true,
		"3.3.27": false, "3.0.0": false, "2.3.8": false, "": false, "newest": false,
	} {
		if err := checkVersion(version); (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}
