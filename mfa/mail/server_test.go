package mail

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

const (
	testUser     = "edge"
	testPassword = "correct horse battery"
)

// received is a message as a server got it.
type received struct {
	from, to  string
	content   string
	mechanism string // that the client authenticated with, "" when it did not
	tls       bool
}

// testServer is an SMTP server on a loopback port.
type testServer struct {
	addr      string
	clientTLS *tls.Config // trusts the server's certificate

	mu       sync.Mutex
	mail     []received
	wire     lockedBuffer // what was said, inside TLS where there is TLS
	refusals map[string]*gosmtp.SMTPError
}

type serverOptions struct {
	mode       TLSMode
	noStartTLS bool
	mechanisms []string                     // none: no AUTH
	refusals   map[string]*gosmtp.SMTPError // by "mail", "rcpt", "data"
}

func startServer(t *testing.T, options serverOptions) *testServer {
	t.Helper()
	certificate, roots := newCertificate(t, "127.0.0.1")
	s := &testServer{clientTLS: &tls.Config{RootCAs: roots}, refusals: options.refusals}

	server := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		return &session{server: s, conn: c, mechanisms: options.mechanisms}, nil
	}))
	server.Domain = "mail.test"
	server.AllowInsecureAuth = options.mode == NoTLS
	server.Debug = &s.wire
	server.ErrorLog = log.New(io.Discard, "", 0)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if options.mode != NoTLS && !options.noStartTLS {
		server.TLSConfig = config
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	if options.mode == ImplicitTLS {
		listener = tls.NewListener(listener, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = listener.Close() // which Serve may not have seen yet
		<-done
	})
	return s
}

// only returns the one message that the server has got.
func (s *testServer) only(t *testing.T) received {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mail) != 1 {
		t.Fatalf("the server got %d messages, want 1", len(s.mail))
	}
	return s.mail[0]
}

// session is one connection to a testServer.
type session struct {
	server     *testServer
	conn       *gosmtp.Conn
	mechanisms []string
	current    received
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) refusal(command string) error {
	if err := s.server.refusals[command]; err != nil {
		return err
	}
	return nil
}

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	if len(s.mechanisms) > 0 && s.current.mechanism == "" {
		return gosmtp.ErrAuthRequired
	}
	s.current.from = from
	return s.refusal("mail")
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.current.to = to
	return s.refusal("rcpt")
}

func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.refusal("data"); err != nil {
		return err
	}
	s.current.content = string(content)
	_, s.current.tls = s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mail = append(s.server.mail, s.current)
	return nil
}

func (s *session) AuthMechanisms() []string { return s.mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.mechanisms, mechanism) {
		return nil, gosmtp.ErrAuthUnknownMechanism
	}
	accept := func(ok bool) error {
		if !ok {
			// As unkind as a server can be: it repeats what it was told.
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8},
				Message: "no luck with " + testPassword + "x for edge@example.com"}
		}
		s.current.mechanism = mechanism
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, user, password string) error {
			return accept(user == testUser && password == testPassword)
		}), nil
	case "LOGIN":
		return &loginServer{accept: accept}, nil
	case "CRAM-MD5":
		return &cramServer{accept: accept}, nil
	case "SCRAM-SHA-256":
		return &scramServer{accept: accept}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

type loginServer struct {
	accept func(bool) error
	step   int
	user   string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.accept(l.user == testUser && string(response) == testPassword)
}

// cramServer is CRAM-MD5 (RFC 2195).
type cramServer struct {
	accept func(bool) error
	asked  bool
}

func (c *cramServer) Next(response []byte) ([]byte, bool, error) {
	const challenge = "<1896.697170952@mail.test>"
	if !c.asked {
		c.asked = true
		return []byte(challenge), false, nil
	}
	mac := hmac.New(md5.New, []byte(testPassword))
	mac.Write([]byte(challenge))
	return nil, true, c.accept(string(response) == testUser+" "+hex.EncodeToString(mac.Sum(nil)))
}

// scramServer is SCRAM-SHA-256 (RFC 5802, RFC 7677).
type scramServer struct {
	accept           func(bool) error
	step             int
	firstBare, first string
	saltedPassword   []byte
}

func (s *scramServer) Next(response []byte) ([]byte, bool, error) {
	s.step++
	switch {
	case s.step == 1 && len(response) == 0:
		s.step = 0
		return []byte{}, false, nil
	case s.step == 1:
		s.firstBare = strings.TrimPrefix(string(response), "n,,")
		_, nonce, ok := strings.Cut(s.firstBare, ",r=")
		if !ok {
			return nil, true, errors.New("no nonce")
		}
		salt := []byte("0123456789abcdef")
		var err error
		if s.saltedPassword, err = pbkdf2.Key(sha256.New, testPassword, salt, 4096, 32); err != nil {
			return nil, true, err
		}
		s.first = fmt.Sprintf("r=%sserver,s=%s,i=4096", nonce, base64.StdEncoding.EncodeToString(salt))
		return []byte(s.first), false, nil
	case s.step == 2:
		withoutProof, proof64, ok := strings.Cut(string(response), ",p=")
		proof, err := base64.StdEncoding.DecodeString(proof64)
		if !ok || err != nil || len(proof) != sha256.Size {
			return nil, true, errors.New("malformed final message")
		}
		message := s.firstBare + "," + s.first + "," + withoutProof
		clientKey := sign(s.saltedPassword, "Client Key")
		storedKey := sha256.Sum256(clientKey)
		signature := sign(storedKey[:], message)
		for i := range proof {
			proof[i] ^= signature[i]
		}
		if err := s.accept(bytes.Equal(proof, clientKey)); err != nil {
			return nil, true, err
		}
		verifier := sign(sign(s.saltedPassword, "Server Key"), message)
		return []byte("v=" + base64.StdEncoding.EncodeToString(verifier)), false, nil
	}
	return nil, true, nil
}

func sign(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}

// lockedBuffer is a bytes.Buffer for concurrent writers.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// newCertificate makes a self-signed certificate for host, and a pool
// that trusts it.
func newCertificate(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: host},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
