package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

func newKeys(t *testing.T) *seal.Keys {
	t.Helper()
	keys, _, err := seal.LoadOrCreate(filepath.Join(t.TempDir(), "mfa.key"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestASealedTextOpensOnlyWithItsKeyAndLabel(t *testing.T) {
	keys := newKeys(t)
	sealed, err := keys.Seal("user/alice", []byte("secret text"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("sealed text is readable")
	}
	text, err := keys.Open("user/alice", sealed)
	if err != nil || string(text) != "secret text" {
		t.Fatalf("got %q, %v", text, err)
	}
	if _, err := keys.Open("user/bob", sealed); !errors.Is(err, seal.ErrNotOpened) {
		t.Errorf("other label: got %v", err)
	}
	if _, err := newKeys(t).Open("user/alice", sealed); !errors.Is(err, seal.ErrNotOpened) {
		t.Errorf("other key: got %v", err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := keys.Open("user/alice", sealed); !errors.Is(err, seal.ErrNotOpened) {
		t.Errorf("changed text: got %v", err)
	}
}

func TestAHashMatchesOnlyItsSecretLabelAndKey(t *testing.T) {
	keys := newKeys(t)
	hash, err := keys.Hash("label", []byte("code"))
	if err != nil {
		t.Fatal(err)
	}
	if !keys.Matches("label", []byte("code"), hash) {
		t.Error("own hash does not match")
	}
	if keys.Matches("label", []byte("Code"), hash) {
		t.Error("other secret matches")
	}
	if keys.Matches("labelc", []byte("ode"), hash) {
		t.Error("the border between label and secret can be moved")
	}
	if newKeys(t).Matches("label", []byte("code"), hash) {
		t.Error("other key matches")
	}
	if keys.Matches("label", []byte("code"), nil) {
		t.Error("empty hash matches")
	}
}

func TestTheKeyFileIsPrivateAndReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "mfa.key")
	keys, created, err := seal.LoadOrCreate(path)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode().Perm())
	}
	sealed, err := keys.Seal("l", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	again, created, err := seal.LoadOrCreate(path)
	if err != nil || created {
		t.Fatalf("created again %v, %v", created, err)
	}
	if again.ID() != keys.ID() || again.ID() == "" {
		t.Errorf("ID changed from %q to %q", keys.ID(), again.ID())
	}
	if _, err := again.Open("l", sealed); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

func TestProcessesThatComeAtOnceAgreeOnOneKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.key")
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			keys, _, err := seal.LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = keys.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("keys differ: %v", ids)
		}
	}
}

func TestABadKeyFileIsRefusedAndKept(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.key")
	if _, _, err := seal.LoadOrCreate(whole); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty":         {},
		"truncated":     content[:len(content)/2],
		"other JSON":    []byte(`{"a":1}`),
		"other format":  bytes.Replace(content, []byte("keys-1"), []byte("keys-9"), 1),
		"broken keyset": bytes.Replace(content, []byte(`"primaryKeyId"`), []byte(`"primaryKey"`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mfa.key")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := seal.LoadOrCreate(path); !errors.Is(err, seal.ErrBadKeyFile) {
				t.Errorf("got %v", err)
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(now, bad) {
				t.Error("the file was changed")
			}
		})
	}
	if _, _, err := seal.LoadOrCreate(t.TempDir()); !errors.Is(err, seal.ErrBadKeyFile) {
		t.Errorf("a folder: got %v", err)
	}
	if _, err := seal.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, seal.ErrNoKeyFile) {
		t.Errorf("no file: got %v", err)
	}
}
