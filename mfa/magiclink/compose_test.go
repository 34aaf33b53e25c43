package magiclink

import (
	"encoding/json"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

func TestTheLoginMailCanBeSent(t *testing.T) {
	dir := t.TempDir()
	sender, err := mail.NewDirectory(dir, "Acme <no-reply@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := newKind(t, func(c *Config) { c.Sender = sender })
	request := testLogin
	request.AccountName, request.UserAgent = "x\r\nBcc: eve@evil.test", "\r\nBcc: eve@evil.test\r\n\r\n"
	link, err := kind.BeginLogin(testAccount, json.RawMessage(testState), request)
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the mails are %q, %v", files, err)
	}
	file, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	msg, err := netmail.ReadMessage(file)
	if err != nil {
		t.Fatal(err)
	}
	if to := msg.Header.Get("To"); to != "<Bob@example.com>" || msg.Header.Get("Bcc") != "" {
		t.Errorf("it goes to %q and %q", to, msg.Header.Get("Bcc"))
	}
	if body, err := io.ReadAll(msg.Body); err != nil || len(body) == 0 {
		t.Errorf("its body has %d bytes, %v", len(body), err)
	}
}
