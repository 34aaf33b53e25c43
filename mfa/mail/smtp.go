package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/caddymfa/caddy-mfa/internal/loopback"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// TLSMode says how the connection to an SMTP server is protected.
type TLSMode string

// The TLS modes.
const (
	// StartTLS begins in clear and must be let into TLS by STARTTLS (RFC
	// 3207) before anything is said; a server that does not offer it is
	// refused. Usual on ports 587 and 25.
	StartTLS TLSMode = "starttls"
	// ImplicitTLS speaks TLS from the first byte (RFC 8314). Usual on port
	// 465.
	ImplicitTLS TLSMode = "implicit"
	// NoTLS sends everything in clear, the links in the mails included. It
	// is for a relay on the same host or in a network that is trusted.
	NoTLS TLSMode = "none"
)

const (
	defaultTimeout = 10 * time.Second
	connectTimeout = 5 * time.Second
	quitTimeout    = time.Second
)

// SMTPConfig says which server takes the mail, and as whom.
type SMTPConfig struct {
	// Addr is the server's host and port, such as mail.example.com:587.
	Addr string
	// From is the sender's mailbox, such as "Acme <no-reply@example.com>".
	From string
	// Username and Password are the credentials; both empty means none.
	Username, Password string
	// TLS defaults to StartTLS.
	TLS TLSMode
	// Hello is the host name that EHLO says. "" means this machine's.
	Hello string
	// CA are certificates in PEM of authorities that may vouch for the server,
	// beside those of the system. nil means none.
	CA []byte
	// Timeout is how long one Send may take in all; connecting may take 5
	// seconds of it. It defaults to 10 seconds.
	Timeout time.Duration
	// TLSConfig, when not nil, replaces the default client configuration:
	// the system's roots, TLS 1.2 or newer. It is copied.
	TLSConfig *tls.Config
}

// SMTP is a Sender that hands messages to an SMTP server, one connection
// for each.
type SMTP struct {
	addr, host, hello  string
	from               netmail.Address
	username, password string
	mode               TLSMode
	timeout            time.Duration
	tlsConfig          *tls.Config
	now                func() time.Time
}

// NewSMTP checks config and returns a Sender for it. It does not connect.
// Credentials without TLS are refused unless the server is on a loopback
// address, because they and every link mailed could be read on the way.
func NewSMTP(config SMTPConfig) (*SMTP, error) {
	host, port, err := net.SplitHostPort(config.Addr)
	if err != nil {
		return nil, fmt.Errorf("smtp server %q: %w (write it as mail.example.com:587)", config.Addr, err)
	}
	if host == "" {
		return nil, fmt.Errorf("smtp server %q: the host is missing", config.Addr)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return nil, fmt.Errorf("smtp server %q: the port is not a number from 1 to 65535", config.Addr)
	}
	from, err := parseFrom(config.From)
	if err != nil {
		return nil, fmt.Errorf("smtp server %s: %w", config.Addr, err)
	}
	mode := config.TLS
	switch mode {
	case "":
		mode = StartTLS
	case StartTLS, ImplicitTLS, NoTLS:
	default:
		return nil, fmt.Errorf("smtp server %s: unknown tls mode %q: choose starttls, implicit or none", config.Addr, mode)
	}
	if (config.Username == "") != (config.Password == "") {
		return nil, fmt.Errorf("smtp server %s: username and password are needed together", config.Addr)
	}
	if mode == NoTLS && config.Username != "" && !loopback.Host(host) {
		return nil, fmt.Errorf("smtp server %s: a password may not travel without TLS: choose tls starttls or implicit, "+
			"or leave the credentials out; only a loopback host is exempt", config.Addr)
	}
	timeout := config.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if timeout < 0 {
		return nil, fmt.Errorf("smtp server %s: the timeout is negative", config.Addr)
	}
	hello := helloName()
	if config.Hello != "" {
		if hello = config.Hello; !isHostName(hello) {
			return nil, fmt.Errorf("smtp server %s: helo %q is no host name: give one such as login.example.com", config.Addr, hello)
		}
	}
	tlsConfig := clientTLS(config.TLSConfig, host)
	if config.CA != nil {
		if tlsConfig.RootCAs, err = trusting(config.CA); err != nil {
			return nil, fmt.Errorf("smtp server %s: ca: %w", config.Addr, err)
		}
	}
	return &SMTP{
		addr: config.Addr, host: host, hello: hello,
		from: from, username: config.Username, password: config.Password,
		mode: mode, timeout: timeout, tlsConfig: tlsConfig,
		now: time.Now,
	}, nil
}

// Send connects, hands msg over and disconnects, all within the
// configured timeout. Its errors name the server and the stage that
// failed; the server's own words are in them as far as they cannot hold
// the password, an address or a link.
func (s *SMTP) Send(ctx context.Context, msg Message) error {
	to := mailbox.Address(msg.To)
	content, err := compose(s.from, msg, s.now())
	if err != nil {
		return err
	}
	if to.Local() {
		return errLocalRecipient
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout,
		fmt.Errorf("no answer within %s: %w", s.timeout, context.DeadlineExceeded))
	defer cancel()
	if stage, err := s.deliver(ctx, to, content); err != nil {
		return s.describe(ctx, stage, err)
	}
	return nil
}

// deliver holds the whole SMTP dialogue. It returns the stage that failed
// next to the error.
func (s *SMTP) deliver(ctx context.Context, to mailbox.Address, content []byte) (stage, error) {
	dialer := net.Dialer{Timeout: min(connectTimeout, s.timeout)}
	conn, err := dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return connecting, err
	}
	defer conn.Close()
	// The dialogue blocks in reads and writes; closing the connection under
	// it is what ends it, wherever it stands.
	stop := context.AfterFunc(ctx, panics.Func(panics.Mail, func() { _ = conn.Close() }))
	defer stop()

	client, stage, err := s.open(conn)
	if err != nil {
		return stage, err
	}
	if stage, err := s.transfer(client, to, content); err != nil {
		return stage, err
	}
	// The server has taken the message. Parting well is a courtesy that
	// neither may take long nor can fail the delivery.
	_ = conn.SetDeadline(time.Now().Add(quitTimeout))
	_ = client.Quit()
	return "", nil
}

// open brings conn to where mail can be handed over: greeted, protected,
// authenticated.
func (s *SMTP) open(conn net.Conn) (*smtp.Client, stage, error) {
	if s.mode == ImplicitTLS {
		protected := tls.Client(conn, s.tlsConfig)
		if err := protected.Handshake(); err != nil {
			return nil, startingTLS, err
		}
		conn = protected
	}
	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return nil, greeting, err
	}
	client.SkipSMTPUTF8(true) // our addresses are ASCII
	if err := client.Hello(s.hello); err != nil {
		return nil, greeting, err
	}
	if s.mode == StartTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return nil, startingTLS, errNoStartTLS
		}
		if err := client.StartTLS(s.tlsConfig); err != nil {
			return nil, startingTLS, err
		}
	}
	if s.username != "" {
		if err := s.authenticate(client); err != nil {
			return nil, authenticating, err
		}
	}
	return client, "", nil
}

// transfer hands over one message (RFC 5321 section 3.3).
func (s *SMTP) transfer(client *smtp.Client, to mailbox.Address, content []byte) (stage, error) {
	if err := client.Mail("<" + s.from.Address + ">"); err != nil {
		return namingSender, err
	}
	if err := client.Rcpt("<" + to.Wire() + ">"); err != nil {
		return namingRecipient, err
	}
	writer, err := client.Data()
	if err != nil {
		return sendingContent, err
	}
	if _, err := writer.Write(content); err != nil {
		return sendingContent, err
	}
	if err := writer.Close(); err != nil {
		return sendingContent, err
	}
	return "", nil
}

// clientTLS returns the configuration to connect to host with.
func clientTLS(config *tls.Config, host string) *tls.Config {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	return config
}

// helloName is the name to greet servers with: this host's, when it can
// stand in the command.
func helloName() string {
	name, err := os.Hostname()
	if err != nil || !isHostName(name) {
		return "localhost"
	}
	return name
}

// isHostName reports whether name can stand in the command as it is.
func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == ""
}

// trusting returns the authorities of the system, and those in pem.
func trusting(pem []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file holds no certificate in PEM")
	}
	return pool, nil
}

var errLocalRecipient = errors.New("sending mail: the recipient's domain is localhost or a name without a dot: " +
	"only a mail directory, for development, takes such addresses")

var errNoStartTLS = errors.New("the server does not offer STARTTLS, and mail is not sent in clear: " +
	"use a port that offers it, tls implicit, or tls none for a trusted relay")
