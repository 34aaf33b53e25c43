package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
)

// reloads is how often the test below reloads: MFA_TEST_RELOADS, or some
// hundred times.
func reloads(t *testing.T) int {
	t.Helper()
	given := os.Getenv("MFA_TEST_RELOADS")
	if given == "" {
		return 150
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 100 {
		t.Fatalf("MFA_TEST_RELOADS must be a number from 100 on, not %q", given)
	}
	return n
}

// usage is what a process holds.
type usage struct {
	heap        uint64
	goroutines  int
	descriptors int // 0 where they cannot be counted
}

func measureUsage() usage {
	runtime.GC()
	runtime.GC() // what had a finalizer
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	descriptors, _ := os.ReadDir("/proc/self/fd")
	return usage{memory.HeapAlloc, runtime.NumGoroutine(), len(descriptors)}
}

// over reports whether u is more than before by more than what is allowed.
func (u usage) over(before, allowed usage) bool {
	return u.heap > before.heap+allowed.heap || u.goroutines > before.goroutines+allowed.goroutines ||
		u.descriptors > before.descriptors+allowed.descriptors
}

// wantUsage waits until no more than allowed is held over before: what Caddy
// stops it stops in its own time.
func wantUsage(t *testing.T, what string, before, allowed usage) {
	t.Helper()
	var now usage
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
		if now = measureUsage(); !now.over(before, allowed) {
			t.Logf("%s: %+v, before: %+v", what, now, before)
			return
		}
	}
	t.Errorf("%s: %+v is held, before it was %+v; allowed is %+v more", what, now, before, allowed)
}

// stream is an open response of a site, on a connection of its own.
type stream struct {
	body   io.Closer
	client *http.Transport
}

func (s stream) close() {
	_ = s.body.Close()
	s.client.CloseIdleConnections()
}

// client has connections that are kept alive, by HTTP/2 without TLS or by
// HTTP/1.1.
func client(h2 bool) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Transport{Protocols: &protocols, MaxIdleConnsPerHost: 1}
}

// open opens a stream. Right after a reload the kernel may hand a connection
// to the listener that Caddy is closing: that one is tried again.
func (s *server) open(h2 bool) stream {
	s.Helper()
	transport := client(h2)
	var err error
	for range 50 {
		var answer *http.Response
		if answer, err = (&http.Client{Transport: transport}).Get("http://" + s.address + "/stream"); err != nil {
			continue
		}
		if answer.StatusCode != http.StatusOK {
			s.Fatalf("the stream is answered %s", answer.Status)
		}
		if _, err = answer.Body.Read(make([]byte, 1)); err == nil {
			return stream{answer.Body, transport}
		}
	}
	s.Fatal(err)
	return stream{}
}

// hold keeps connections of 8 clients alive and in use until ctx ends. Every
// answer must be the product's; connections may be reset, as those of a plain
// Caddy are.
func (s *server) hold(ctx context.Context, token string, group *sync.WaitGroup, answers *atomic.Int64) {
	for i := range 8 {
		transport := client(i%2 == 0)
		group.Go(func() {
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/mfa/status", nil)
				if err != nil {
					s.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+token)
				answer, err := (&http.Client{Transport: transport}).Do(r)
				if err != nil {
					continue
				}
				if answer.StatusCode != http.StatusOK {
					content, _ := io.ReadAll(answer.Body)
					s.Errorf("the answer is %s %s", answer.Status, content)
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				answers.Add(1)
				select { // so that the reloads have some of the machine
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
}

// TestReloadsLeaveNothingBehind reloads beside connections that are kept alive
// and responses that last over many reloads, good configurations and bad ones.
// MFA_TEST_RELOADS says how often, for instance 5000.
func TestReloadsLeaveNothingBehind(t *testing.T) {
	s := newServer(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer backend.Close()
	site := "http://" + s.address + " {\n\tbind 127.0.0.1\n\tmfa\n\tmfa_require /private/*\n\treverse_proxy " +
		strings.TrimPrefix(backend.URL, "http://") + " {\n\t\tflush_interval -1\n\t}\n}\n"
	adapt := func(options string) []byte {
		t.Helper()
		adapted, _, err := configtest.Adapt(configtest.Configuration(t, options, site))
		if err != nil {
			t.Fatal(err)
		}
		return changed(t, adapted, func(config map[string]any) {
			config["storage"].(map[string]any)["root"] = s.storage
			config["admin"].(map[string]any)["config"] = map[string]any{"persist": false}
			server := apps(config)["http"].(map[string]any)["servers"].(map[string]any)["srv0"].(map[string]any)
			server["protocols"] = []string{"h1", "h2c"}
		})
	}
	options := s.options("data/mfa.db", "data/mfa.key")
	good := adapt(options)
	fails := func(how string) []byte {
		return changed(t, good, func(config map[string]any) { apps(config)["mfa_test_failing"] = map[string]any{how: true} })
	}
	configs := []struct {
		config  []byte
		refused bool
	}{
		{good, false},
		{adapt(options + "cors_origins https://app.example.com"), false},
		{adapt(strings.Replace(options, "bearer dev", "bearer {\ndev\nclock_skew 1m\n}", 1)), false},
		{fails("fail_provision"), true},
		{adapt(options + "token_lifetime 5m"), false},
		{fails("fail_start"), true},
		{good, false},
	}
	s.load(good)
	operator := &operated{server: s}
	token := operator.token("alice")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	var answers atomic.Int64
	s.hold(ctx, token, &clients, &answers)

	const most = 20 // streams that are open at a time
	var streams []stream
	reload := func(n int) {
		t.Helper()
		for i := range n {
			next := configs[i%len(configs)]
			if err := caddy.Load(next.config, true); (err != nil) != next.refused {
				t.Fatalf("loading configuration %d: %v", i%len(configs), err)
			}
			streams = append(streams, s.open(i%2 == 0))
			if len(streams) > most {
				streams[0].close()
				streams = streams[1:]
			}
		}
	}
	reload(most)
	before := measureUsage()
	reload(reloads(t))
	// The old configurations that streams hold are as many as before.
	wantUsage(t, fmt.Sprintf("after %d reloads", reloads(t)), before, usage{heap: 8 << 20, goroutines: 60, descriptors: 60})

	// A configuration that is held weighs about as much as one of a plain
	// Caddy, some 200 KB with the stream itself.
	for _, open := range streams {
		open.close()
	}
	streams = nil
	s.load(good)
	wantUsage(t, "without the streams", before, usage{})
	empty := measureUsage()
	for i := range most {
		s.load(configs[i%3].config)
		streams = append(streams, s.open(i%2 == 0))
	}
	wantUsage(t, fmt.Sprintf("with %d old configurations", most), empty, usage{heap: most * 400 << 10, goroutines: most * 20, descriptors: most * 4})
	for _, open := range streams {
		open.close()
	}
	cancel()
	clients.Wait()
	t.Logf("%d requests were answered", answers.Load())
	if answers.Load() < 20 {
		t.Error("that is hardly a test")
	}
}
