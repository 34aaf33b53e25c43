package seal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

func FuzzOpen(f *testing.F) {
	keys, _, err := seal.LoadOrCreate(filepath.Join(f.TempDir(), "mfa.key"))
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := keys.Seal("label", []byte("text"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("label", sealed)
	f.Add("other", sealed)
	f.Add("label", sealed[:5])
	f.Add("", []byte(nil))
	f.Add("label", append(bytes.Clone(sealed), 0))
	f.Fuzz(func(t *testing.T, label string, envelope []byte) {
		text, err := keys.Open(label, envelope)
		if err == nil && (label != "label" || !bytes.Equal(envelope, sealed) || string(text) != "text") {
			t.Fatalf("something else opens as %q", text)
		}
		_ = keys.Matches(label, envelope, envelope)
	})
}

func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "mfa.key")
	if _, _, err := seal.LoadOrCreate(path); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"caddy-mfa keys 1","sealing":{},"hashing":{"key":[]}}`))
	f.Add([]byte("{"))
	f.Add(bytes.ReplaceAll(good, []byte("ENABLED"), []byte("DISABLED")))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "mfa.key")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := seal.Load(path)
		if err != nil {
			return
		}
		sealed, err := keys.Seal("label", []byte("text"))
		if err != nil {
			t.Fatalf("keys that load do not seal: %v", err)
		}
		if text, err := keys.Open("label", sealed); err != nil || string(text) != "text" {
			t.Fatalf("what they seal opens as %q, %v", text, err)
		}
		hash, err := keys.Hash("label", []byte("text"))
		if err != nil || !keys.Matches("label", []byte("text"), hash) {
			t.Fatalf("their hash does not match: %v", err)
		}
	})
}
