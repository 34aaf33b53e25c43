package mail

import (
	"bytes"
	"io"
	"maps"
	"mime"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzMessage(f *testing.F) {
	f.Add("carol@example.org", "Größe & Söhne", "text\n.\n", "<p>x")
	f.Add("a..b@docomo.ne.jp", "x\r\nBcc: eve@example.com", "\r\n.\r\n", "y")
	f.Add("a@b.", strings.Repeat("=?utf-8?q?", 50), strings.Repeat("x", 3000), "\xff")
	f.Add("a@localhost", "\u2028", "a", "b")
	f.Add("a@localhost", strings.Repeat("x", 1000), "a", "b")
	f.Add("a@b.example", "=?utf-8?q?x=0D=0ABcc:_y?= =??B??=", "a", "b")
	from, err := parseFrom("Acme <no-reply@example.com>")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to, subject, text, html string) {
		content, err := compose(from, Message{To: to, Subject: subject, Text: text, HTML: html}, time.Unix(1_800_000_000, 0))
		if err != nil {
			return
		}
		for line := range bytes.Lines(content) {
			if len(line) > 1000 || bytes.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
				t.Fatalf("a line of %d bytes, or not in ASCII: %q", len(line), line)
			}
		}
		message, err := netmail.ReadMessage(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
		if got := slices.Sorted(maps.Keys(message.Header)); !slices.Equal(got, want) {
			t.Fatalf("the headers are %q", got)
		}
		if got, err := message.Header.AddressList("To"); err != nil || len(got) != 1 || got[0].Address != to || got[0].Name != "" {
			t.Fatalf("it goes to %v, %v", got, err)
		}
		if got, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(strings.ReplaceAll(subject, "=?", "= ?")), " ") {
			t.Fatalf("the subject %q reads as %q, %v", subject, got, err)
		}
		if _, err := io.Copy(io.Discard, message.Body); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseFrom(f *testing.F) {
	for _, from := range []string{"Acme <no-reply@example.com>", "a@b.", "a@b..", "a@b。", `"x\r\nBcc: y" <a@b.example>`, "=?utf-8?q?a=0d=0ab?= <a@b.example>", "<>", "a@[::1]", "x <a@MÜNCHEN.example>"} {
		f.Add(from)
	}
	f.Fuzz(func(t *testing.T, from string) {
		parsed, err := parseFrom(from)
		if err != nil {
			return
		}
		if strings.ContainsAny(parsed.Address+parsed.Name, "\r\n\x00") || checkBareAddress(parsed.Address) != nil {
			t.Fatalf("%q is from %v", from, parsed)
		}
		if again, err := parseFrom(parsed.String()); err != nil || again != parsed {
			t.Fatalf("%q is from %v, and then from %v, %v", from, parsed, again, err)
		}
	})
}
