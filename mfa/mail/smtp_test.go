package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

func testMessage() Message {
	return Message{
		To:      "carol@example.org",
		Subject: "Bestätigen Sie Ihre Adresse für Größe & Söhne 日本語の件名がここにあります",
		Text:    "Grüße,\n\n.a line that begins with a dot\n日本語 " + strings.Repeat("lang ", 60) + "\nhttps://example.com/mfa/magic-link#token=abc.def\n",
		HTML:    "<!doctype html><p>Grüße <a href=\"https://example.com/mfa/magic-link#token=abc.def\">日本語</a></p>\n",
	}
}

func (s *testServer) config(mode TLSMode) SMTPConfig {
	return SMTPConfig{
		Addr: s.addr, From: `"Ärger & Söhne" <no-reply@example.com>`, TLS: mode, TLSConfig: s.clientTLS,
	}
}

func newSMTP(t *testing.T, config SMTPConfig) *SMTP {
	t.Helper()
	sender, err := NewSMTP(config)
	if err != nil {
		t.Fatal(err)
	}
	sender.now = func() time.Time { return time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC) }
	return sender
}

func TestAMessageArrivesInEveryTLSMode(t *testing.T) {
	for _, mode := range []TLSMode{"", StartTLS, ImplicitTLS, NoTLS} {
		t.Run(string(mode), func(t *testing.T) {
			server := startServer(t, serverOptions{mode: mode})
			if err := newSMTP(t, server.config(mode)).Send(t.Context(), testMessage()); err != nil {
				t.Fatal(err)
			}
			got := server.only(t)
			if got.from != "no-reply@example.com" || got.to != "carol@example.org" {
				t.Errorf("envelope is from %q to %q", got.from, got.to)
			}
			if got.tls != (mode != NoTLS) {
				t.Errorf("received over TLS: %v", got.tls)
			}
			checkTestMessage(t, got.content)
		})
	}
}

// checkTestMessage parses content as a mail client does, and compares it
// with testMessage.
func checkTestMessage(t *testing.T, content string) {
	t.Helper()
	want := testMessage()
	for line := range strings.SplitSeq(content, "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
		if strings.ContainsAny(line, "\r\n") {
			t.Errorf("a bare CR or LF in %q", line)
		}
	}
	m, err := netmail.ReadMessage(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != want.Subject {
		t.Errorf("subject is %q (%v), want %q", subject, err, want.Subject)
	}
	from, err := m.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Ärger & Söhne" || from[0].Address != "no-reply@example.com" {
		t.Errorf("From is %v (%v)", from, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != want.To {
		t.Errorf("To is %v (%v)", to, err)
	}
	date, err := m.Header.Date()
	if err != nil || !date.Equal(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)) {
		t.Errorf("Date is %v (%v)", date, err)
	}
	if id := m.Header.Get("Message-ID"); !strings.HasPrefix(id, "<") || !strings.HasSuffix(id, "@example.com>") {
		t.Errorf("Message-ID is %q", id)
	}
	if got := m.Header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("Auto-Submitted is %q", got)
	}
	mediaType, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/alternative" {
		t.Fatalf("Content-Type is %q (%v)", mediaType, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, expected := range []struct{ contentType, content string }{
		{"text/plain", want.Text}, {"text/html", want.HTML}, // the last is the preferred one
	} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		partType, partParams, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || partType != expected.contentType || !strings.EqualFold(partParams["charset"], "utf-8") {
			t.Errorf("part is %q %v (%v), want %s in UTF-8", partType, partParams, err, expected.contentType)
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); encoding != "quoted-printable" {
			t.Errorf("part is encoded as %q", encoding)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(string(body), "\r\n", "\n"); got != expected.content {
			t.Errorf("%s is %q, want %q", partType, got, expected.content)
		}
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("a third part, or %v", err)
	}
}

// checkError checks that err says each of the wanted things, and neither
// the password nor anything of the message.
func checkError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("Send succeeded")
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	for _, secret := range []string{testPassword, "wrong secret", "token=", "abc.def", "Grüße", "carol@"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds %q", err, secret)
		}
	}
}

func TestAnUntrustedCertificateIsRefused(t *testing.T) {
	_, otherRoots := newCertificate(t, "127.0.0.1")
	for _, mode := range []TLSMode{StartTLS, ImplicitTLS} {
		for name, change := range map[string]func(*tls.Config){
			"unknown issuer": func(c *tls.Config) { c.RootCAs = otherRoots },
			"another host":   func(c *tls.Config) { c.ServerName = "mail.example.com" },
		} {
			t.Run(string(mode)+" "+name, func(t *testing.T) {
				server := startServer(t, serverOptions{mode: mode, mechanisms: []string{"PLAIN"}})
				change(server.clientTLS)
				config := server.config(mode)
				config.Username, config.Password = testUser, testPassword
				err := newSMTP(t, config).Send(t.Context(), testMessage())
				checkError(t, err, server.addr, "starting TLS", "x509")
			})
		}
	}
}

func TestAServerWithoutSTARTTLSIsRefusedBeforeAnythingIsSaid(t *testing.T) {
	server := startServer(t, serverOptions{mode: StartTLS, noStartTLS: true})
	err := newSMTP(t, server.config(StartTLS)).Send(t.Context(), testMessage())
	checkError(t, err, server.addr, "starting TLS", "does not offer STARTTLS")
	if wire := server.wire.String(); strings.Contains(wire, "MAIL") {
		t.Errorf("the envelope was sent:\n%s", wire)
	}
}

func TestAServersRefusalIsReportedWithItsStageAndWithoutOurWords(t *testing.T) {
	for _, test := range []struct{ command, stage string }{
		{"mail", "naming the sender"}, {"rcpt", "naming the recipient"}, {"data", "sending the content"},
	} {
		t.Run(test.command, func(t *testing.T) {
			server := startServer(t, serverOptions{mode: StartTLS, refusals: map[string]*gosmtp.SMTPError{
				test.command: {Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1},
					Message: "policy forbids <carol@example.org> and example.com/mfa/magic-link#token=abc.def"},
			}})
			err := newSMTP(t, server.config(StartTLS)).Send(t.Context(), testMessage())
			checkError(t, err, server.addr, test.stage, "550", "policy forbids [...] and [...]")
			if unavailable := errors.Is(err, ErrUnavailable); unavailable != (test.command == "mail") {
				t.Errorf("certainly nothing sent: %v", unavailable)
			}
		})
	}
}

func TestAServerThatIsDownIsReported(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	sender := newSMTP(t, SMTPConfig{Addr: addr, From: "a@example.com"})
	err = sender.Send(t.Context(), testMessage())
	checkError(t, err, addr, "connecting", "refused")
	if !errors.Is(err, ErrUnavailable) {
		t.Error("it does not say that nothing was sent")
	}
}

// hangingServer accepts connections, says the given lines, the first at
// once and each further one after it has read something, and then nothing
// more.
func hangingServer(t *testing.T, lines ...string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				buffer := make([]byte, 4096)
				for _, line := range lines {
					if _, err := io.WriteString(conn, line); err != nil {
						return
					}
					if _, err := conn.Read(buffer); err != nil {
						return
					}
				}
				_, _ = io.Copy(io.Discard, conn) // until the client gives up
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func TestAServerThatFallsSilentIsGivenUp(t *testing.T) {
	for _, test := range []struct {
		name  string
		mode  TLSMode
		stage string
		lines []string
	}{
		{"before the greeting", NoTLS, "waiting for the greeting", nil},
		{"before the TLS handshake", ImplicitTLS, "starting TLS", nil},
		{"after EHLO", NoTLS, "waiting for the greeting", []string{"220 x\r\n"}},
		{"after STARTTLS", StartTLS, "starting TLS", []string{"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"}},
		{"after MAIL", NoTLS, "naming the sender", []string{"220 x\r\n", "250 x\r\n"}},
		{"after DATA", NoTLS, "sending the content", []string{"220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 go\r\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := hangingServer(t, test.lines...)
			sender := newSMTP(t, SMTPConfig{Addr: addr, From: "a@example.com", TLS: test.mode, Timeout: 100 * time.Millisecond})
			err := sender.Send(t.Context(), testMessage())
			checkError(t, err, addr, test.stage, "no answer within 100ms")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is not a deadline error", err)
			}
		})
	}
}

func TestACancelledContextEndsSend(t *testing.T) {
	addr := hangingServer(t, "220 x\r\n")
	sender := newSMTP(t, SMTPConfig{Addr: addr, From: "a@example.com", TLS: NoTLS})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- sender.Send(ctx, testMessage()) }()
	cancel()
	select {
	case err := <-result:
		checkError(t, err, addr)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not context.Canceled", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Send did not return")
	}
}

func TestSendMayBeCalledConcurrently(t *testing.T) {
	server := startServer(t, serverOptions{mode: StartTLS, mechanisms: []string{"PLAIN"}})
	config := server.config(StartTLS)
	config.Username, config.Password = testUser, testPassword
	sender := newSMTP(t, config)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := sender.Send(t.Context(), testMessage()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, got := range server.mail {
		m, err := netmail.ReadMessage(strings.NewReader(got.content))
		if err != nil {
			t.Fatal(err)
		}
		ids[m.Header.Get("Message-ID")] = true
	}
	if len(server.mail) != 8 || len(ids) != 8 {
		t.Errorf("%d messages with %d IDs, want 8", len(server.mail), len(ids))
	}
}

func TestAMessageThatCouldSmuggleAHeaderInIsRefused(t *testing.T) {
	server := startServer(t, serverOptions{mode: NoTLS})
	sender := newSMTP(t, server.config(NoTLS))
	for name, change := range map[string]func(*Message){
		"line break in the subject":        func(m *Message) { m.Subject = "Hello\r\nBcc: eve@example.com" },
		"newline in the subject":           func(m *Message) { m.Subject = "Hello\nBcc: eve@example.com" },
		"control character in the subject": func(m *Message) { m.Subject = "Hello\x00" },
		"invalid UTF-8 in the subject":     func(m *Message) { m.Subject = "Hello\xff" },
		"empty subject":                    func(m *Message) { m.Subject = "" },
		"line break in the recipient":      func(m *Message) { m.To = "carol@example.org\r\nBcc: eve@example.com" },
		"folding in the recipient":         func(m *Message) { m.To = "carol@example.org\r\n " },
		"envelope break in the recipient":  func(m *Message) { m.To = "carol@example.org>\r\nRCPT TO:<eve@example.com" },
		"two recipients":                   func(m *Message) { m.To = "carol@example.org,eve@example.com" },
		"display name":                     func(m *Message) { m.To = "Alice <carol@example.org>" },
		"angle brackets":                   func(m *Message) { m.To = "<carol@example.org>" },
		"comment in the recipient":         func(m *Message) { m.To = "carol@example.org(x)" },
		"quoted local part":                func(m *Message) { m.To = `"alice x"@example.org` },
		"non-ASCII recipient":              func(m *Message) { m.To = "älice@example.org" },
		"no domain":                        func(m *Message) { m.To = "alice" },
		"no recipient":                     func(m *Message) { m.To = "" },
		"overlong recipient":               func(m *Message) { m.To = "carol@" + strings.Repeat("a.", 130) + "org" },
		"no text":                          func(m *Message) { m.Text = "" },
		"no HTML":                          func(m *Message) { m.HTML = "" },
		"invalid UTF-8 in a body":          func(m *Message) { m.Text = "\xff" },
	} {
		t.Run(name, func(t *testing.T) {
			msg := testMessage()
			change(&msg)
			err := sender.Send(t.Context(), msg)
			checkError(t, err, "composing mail")
			if strings.Contains(err.Error(), "eve@") {
				t.Errorf("error %q repeats the content", err)
			}
		})
	}
	if len(server.mail) != 0 {
		t.Errorf("%d messages were sent", len(server.mail))
	}
}

func TestASenderWithANonASCIIDomainIsSentInItsASCIIForm(t *testing.T) {
	sender := newSMTP(t, SMTPConfig{Addr: "localhost:25", From: "Größe <info@Größe.example>"})
	if sender.from.Address != "info@xn--gre-6ka8i.example" || sender.from.Name != "Größe" {
		t.Errorf("sender is %q <%s>", sender.from.Name, sender.from.Address)
	}
}

func TestARecipientWithDotsAnywhereIsQuotedOnTheWire(t *testing.T) {
	server := startServer(t, serverOptions{mode: NoTLS})
	msg := testMessage()
	msg.To = "a..b.@docomo.ne.jp"
	if err := newSMTP(t, server.config(NoTLS)).Send(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	got := server.only(t)
	if got.to != msg.To { // as the server reads it
		t.Errorf("the recipient is %q", got.to)
	}
	if !strings.Contains(got.content, `To: <"a..b."@docomo.ne.jp>`) {
		t.Errorf("the mail is\n%s", got.content)
	}
}

func TestNothingIsSentToAHostOfThisMachine(t *testing.T) {
	sender := newSMTP(t, SMTPConfig{Addr: "127.0.0.1:1", From: "a@example.com", TLS: NoTLS})
	for _, to := range []string{"carol@localhost", "carol@mail.localhost", "carol@mailhost"} {
		msg := testMessage()
		msg.To = to
		if err := sender.Send(t.Context(), msg); !errors.Is(err, errLocalRecipient) {
			t.Errorf("%s: %v", to, err)
		}
	}
}
