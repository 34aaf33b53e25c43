package mail

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// TestADaemonTakesAMessageOverSTARTTLS sends to aiosmtpd, an SMTP server
// that shares no code with ours (Debian: python3-aiosmtpd).
func TestADaemonTakesAMessageOverSTARTTLS(t *testing.T) {
	daemon := testtool.Need(t, "/usr/bin/aiosmtpd")
	dir := t.TempDir()
	certificate, roots := newCertificate(t, "127.0.0.1")
	certFile, keyFile := writeCertificate(t, dir, certificate)
	maildir := filepath.Join(dir, "mail")
	addr := freeAddr(t)

	var output bytes.Buffer
	command := exec.CommandContext(t.Context(), daemon, "-n", "-l", addr,
		"--tlscert", certFile, "--tlskey", keyFile, "-c", "aiosmtpd.handlers.Mailbox", maildir)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("aiosmtpd said:\n%s", output.String())
		}
	})
	awaitGreeting(t, addr)

	sender := newSMTP(t, SMTPConfig{
		Addr: addr, From: `"Ärger & Söhne" <no-reply@example.com>`, TLSConfig: &tls.Config{RootCAs: roots},
	})
	if err := sender.Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	files := list(t, filepath.Join(maildir, "new"))
	if len(files) != 1 {
		t.Fatalf("%d messages arrived, want 1", len(files))
	}
	content, err := os.ReadFile(filepath.Join(maildir, "new", files[0]))
	if err != nil {
		t.Fatal(err)
	}
	// A Maildir keeps the lines of its host.
	checkTestMessage(t, string(bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))))
}

func writeCertificate(t *testing.T, dir string, certificate tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// freeAddr returns a loopback address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// awaitGreeting returns when a server at addr greets.
func awaitGreeting(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(deadline)
		_, err = io.ReadFull(conn, make([]byte, 3))
		conn.Close()
		if err == nil {
			return
		}
	}
	t.Fatalf("nothing greets at %s", addr)
}
