package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	reported := new(findings)
	s := mustOpen(t, Config{Endpoints: cluster.Endpoints(), Report: reported.take})
	mustPut(t, s, "a", "1")
	if s.Full() {
		t.Error("a cluster with room counts as full")
	}
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = put(s, "large", strings.Repeat("x", 500_000))
	}
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, rpctypes.ErrNoSpace) || !strings.Contains(err.Error(), "--quota-backend-bytes") {
		t.Errorf("got %v", err)
	}
	mustHold(t, s, "a", "1")
	if kinds := reported.kinds(); !s.Full() || !slices.Equal(kinds, []store.FindingKind{store.FindingFull}) {
		t.Errorf("full: %v, reported: %v", s.Full(), kinds)
	}
	// A node that writes nothing is told by the alarm.
	if full, known := mustOpen(t, Config{Endpoints: cluster.Endpoints()}).askFull(context.Background()); !full || !known {
		t.Errorf("asked, the cluster is full: %v, known: %v", full, known)
	}
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
	if s.Full() {
		t.Error("a cluster that takes writes again counts as full")
	}
}

// TestADocumentTakesTheRoomThatIsDocumented holds what docs/stores.md says of
// room against etcd.
func TestADocumentTakesTheRoomThatIsDocumented(t *testing.T) {
	ctx := context.Background()
	for name, program := range etcdtest.Programs {
		t.Run(name, func(t *testing.T) {
			cluster := etcdtest.Start(t, etcdtest.Options{Program: program})
			client := cluster.Client()
			s := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
			inUse := func() int64 {
				t.Helper()
				status, err := client.Status(ctx, cluster.Members[0].Endpoint)
				if err != nil {
					t.Fatal(err)
				}
				return status.DbSizeInUse
			}
			const people = 1500
			document := strings.Repeat("x", 1550) // of an enrolled person with a session
			write := func() {
				t.Helper()
				var writers sync.WaitGroup
				for w := range 16 {
					writers.Go(func() {
						for i := w; i < people; i += 16 {
							if err := put(s, fmt.Sprintf("user/%043d", i), document); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				writers.Wait()
			}
			empty := inUse()
			write()
			first := (inUse() - empty) / people
			for range 4 {
				write()
			}
			each := (inUse() - empty) / people / 5
			answer, err := client.Get(ctx, "x")
			if err == nil {
				_, err = client.Compact(ctx, answer.Header.Revision, clientv3.WithCompactPhysical())
			}
			if err != nil {
				t.Fatal(err)
			}
			// etcd frees the pages with the next writes, once nobody reads them.
			left := (inUse() - empty) / people
			for tries := 0; left > 2200 && tries < 100; tries++ {
				if err := put(s, "user/"+strings.Repeat("0", 43), document); err != nil {
					t.Fatal(err)
				}
				left = (inUse() - empty) / people
			}
			t.Logf("a document of %d bytes takes %d in etcd, each write %d until it is compacted, and %d after that", len(document), first, each, left)
			if first < 1550 || first > 2200 || each > 2200 || left > 2200 {
				t.Error("documented are 2.2 kB at most, for each write and after a compaction for each document")
			}
		})
	}
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
