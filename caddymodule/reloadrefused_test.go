package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa"
)

// changed is config, deeply copied, after change.
func changed(t *testing.T, config []byte, change func(config map[string]any)) []byte {
	t.Helper()
	var copied map[string]any
	if err := json.Unmarshal(config, &copied); err != nil {
		t.Fatal(err)
	}
	change(copied)
	encoded, err := json.Marshal(copied)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// apps are those of a configuration.
func apps(config map[string]any) map[string]any { return config["apps"].(map[string]any) }

// refused are configurations that Caddy refuses, each at another point.
func refused(t *testing.T, good []byte) map[string][]byte {
	t.Helper()
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = occupied.Close() })
	server := func(config map[string]any) map[string]any {
		return apps(config)["http"].(map[string]any)["servers"].(map[string]any)["srv0"].(map[string]any)
	}
	return map[string][]byte{
		"an unknown app": changed(t, good, func(config map[string]any) { apps(config)["mfa_test_unknown"] = map[string]any{} }),
		"mfa at Provision": changed(t, good, func(config map[string]any) {
			apps(config)["mfa"].(map[string]any)["backup_codes"] = 51
		}),
		"another app at Provision": changed(t, good, func(config map[string]any) {
			apps(config)["mfa_test_failing"] = map[string]any{"fail_provision": true}
		}),
		"another app at Provision, without mfa": changed(t, good, func(config map[string]any) {
			config["apps"] = map[string]any{"mfa_test_unknown": map[string]any{}}
		}),
		"http at Validate": changed(t, good, func(config map[string]any) {
			servers := apps(config)["http"].(map[string]any)["servers"].(map[string]any)
			servers["again"] = map[string]any{"listen": server(config)["listen"]}
		}),
		"mfa at Start": changed(t, good, func(config map[string]any) {
			apps(config)["mfa"].(map[string]any)["key_file"] = "data/other.key"
		}),
		"another app at Start": changed(t, good, func(config map[string]any) {
			apps(config)["mfa_test_failing"] = map[string]any{"fail_start": true}
		}),
		"http at Start, its port taken": changed(t, good, func(config map[string]any) {
			server(config)["listen"] = []string{occupied.Addr().String()}
		}),
	}
}

// counts are the product's counters by what /metrics tells.
func (o *operated) counts() map[string]float64 {
	o.Helper()
	counts := make(map[string]float64)
	for line := range strings.Lines(ours(o.want(http.StatusOK, http.MethodGet, "/metrics", nil))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			o.Fatalf("%v: %s", err, line)
		}
		if !strings.Contains(name, "_sum") {
			counts[name] = number
		}
	}
	return counts
}

// wantAllRoutes sends a request to every route of the admin API, and expects
// an answer that only a running service gives.
func (o *operated) wantAllRoutes(subject string) {
	o.Helper()
	o.enrol(mfa.Caller{Subject: subject})
	query := "?subject=" + subject
	o.want(http.StatusOK, http.MethodGet, "/mfa/users", nil)
	if !o.show(subject).Enrolled {
		o.Errorf("%s is not enrolled", subject)
	}
	o.want(http.StatusOK, http.MethodPost, "/mfa/user/unlock"+query, nil)
	o.want(http.StatusOK, http.MethodPost, "/mfa/user/reset"+query, nil)
	if o.show(subject).Enrolled {
		o.Errorf("%s is still enrolled", subject)
	}
	o.want(http.StatusOK, http.MethodDelete, "/mfa/user"+query, nil)
	o.want(http.StatusNotFound, http.MethodGet, "/mfa/user"+query, nil)
	backup := o.want(http.StatusOK, http.MethodGet, "/mfa/backup", nil)
	o.want(http.StatusConflict, http.MethodPost, "/mfa/restore", strings.NewReader(backup))
	o.want(http.StatusOK, http.MethodPost, "/mfa/keys/rotate", nil)
	o.want(http.StatusOK, http.MethodGet, "/mfa/keys", nil)
	o.want(http.StatusOK, http.MethodPost, "/mfa/keys/stage", nil)
	o.want(http.StatusOK, http.MethodPost, "/mfa/keys/reseal", nil)
	for _, path := range []string{"/mfa/keys/promote", "/mfa/keys/retire"} {
		// Whether it can be done already is for the keys' own tests.
		if status, content := o.ask(http.MethodPost, path, nil); status != http.StatusOK && status != http.StatusConflict {
			o.Errorf("POST %s is answered %d %s", path, status, content)
		}
	}
}

func TestTheAdminAPIAndTheMetricsSpeakForWhatServesAfterARefusedReload(t *testing.T) {
	var good []byte
	o := operate(t, func(config map[string]any) {
		var err error
		if good, err = json.Marshal(config); err != nil {
			t.Fatal(err)
		}
	})
	o.walk("alice")
	before := o.counts()
	if before[`caddy_mfa_gate_decisions_total{decision="passed"}`] != 1 {
		t.Fatalf("the metrics are %v", before)
	}
	// The load comes by the admin API, as it does from `caddy reload`: its
	// answer tells that the endpoint of the attempt is the one that is asked.
	load := func(config []byte) error {
		status, content := o.ask(http.MethodPost, "/load", bytes.NewReader(config))
		if status != http.StatusOK {
			return fmt.Errorf("%d %s", status, content)
		}
		return nil
	}
	wantGoingOn := func(after string) {
		t.Helper()
		counts := o.counts()
		for name, was := range before {
			if now, ok := counts[name]; !ok || now < was {
				t.Errorf("after %s, %s is %v (%v), and was %v", after, name, now, ok, was)
			}
		}
		before = counts
	}
	all := refused(t, good)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		times := 1
		if strings.Contains(name, "another app") {
			times = 4 // Caddy takes the apps in no particular order
		}
		for range times {
			if err := load(all[name]); err == nil {
				t.Fatalf("%s: the configuration is taken over", name)
			}
			wantGoingOn(name)
		}
		o.wantAllRoutes(fmt.Sprint("person", i))
		wantGoingOn(name)
		if i%3 == 2 {
			o.load(good)
			o.wantAllRoutes("bob")
			wantGoingOn("a good one after " + name)
		}
	}
	if before[`caddy_mfa_setups_total{method="GOOGLE_AUTH",result="enrolled"}`] != float64(1+len(all)+len(all)/3) {
		t.Errorf("the metrics are %v", before)
	}
	if len(before) < 10 {
		t.Errorf("the metrics are only %v", before)
	}
}

func TestACaddyWithoutMFATellsNothingOfIt(t *testing.T) {
	o := operate(t, func(config map[string]any) {
		config["apps"] = map[string]any{}
	})
	if lines := ours(o.want(http.StatusOK, http.MethodGet, "/metrics", nil)); lines != "" {
		t.Errorf("the metrics are\n%s", lines)
	}
	o.want(http.StatusNotFound, http.MethodGet, "/mfa/users", nil)
	if _, err := caddy.ActiveContext().AppIfConfigured("mfa"); err == nil {
		t.Error("the app is there")
	}
}
