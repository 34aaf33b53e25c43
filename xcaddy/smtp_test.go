package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// mailServer is an aiosmtpd that takes mail over STARTTLS alone and keeps
// it in a Maildir.
type mailServer struct {
	// Address is its host and port.
	Address string
	// CertFile is the certificate to trust.
	CertFile string

	t       *testing.T
	program string
	keyFile string
	maildir string
	process *exec.Cmd
	output  bytes.Buffer
}

func startMailServer(t *testing.T) *mailServer {
	t.Helper()
	program := testtool.Need(t, "aiosmtpd", "/usr/bin/aiosmtpd")
	dir := t.TempDir()
	s := &mailServer{
		Address:  "127.0.0.1:" + edgetest.FreePort(t),
		CertFile: filepath.Join(dir, "cert.pem"),
		t:        t,
		program:  program,
		keyFile:  filepath.Join(dir, "key.pem"),
		maildir:  filepath.Join(dir, "mail"),
	}
	writeCertificate(t, s.CertFile, s.keyFile)
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("aiosmtpd said:\n%s", s.output.String())
		}
	})
	s.Start()
	return s
}

// Start starts the server and returns when it greets.
func (s *mailServer) Start() {
	s.t.Helper()
	s.process = exec.Command(s.program, "-n", "-l", s.Address, "--tlscert", s.CertFile, "--tlskey", s.keyFile,
		"-c", "aiosmtpd.handlers.Mailbox", s.maildir)
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	edgetest.Eventually(s.t, 30*time.Second, "the mail server greets", func() bool {
		conn, err := net.Dial("tcp", s.Address)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, err = io.ReadFull(conn, make([]byte, 3))
		return err == nil
	})
}

// Stop ends the server. It may be started again.
func (s *mailServer) Stop() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait() // was killed
		s.process = nil
	}
}

// Mails returns what was received, oldest first.
func (s *mailServer) Mails() []*netmail.Message {
	s.t.Helper()
	return readMails(s.t, filepath.Join(s.maildir, "new"))
}

// writeCertificate makes a certificate for 127.0.0.1 that vouches for
// itself.
func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "mail server of a test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: certificate},
		keyFile:  {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
