package main_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// readMails returns the mails in dir, oldest first.
func readMails(t *testing.T, dir string) []*netmail.Message {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	type file struct {
		info    os.FileInfo
		message *netmail.Message
	}
	var files []file
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		message, err := netmail.ReadMessage(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{info, message})
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	messages := make([]*netmail.Message, len(files))
	for i, f := range files {
		messages[i] = f.message
	}
	return messages
}

// plainText returns the text part of a mail.
func plainText(t *testing.T, message *netmail.Message) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	part, err := multipart.NewReader(message.Body, params["boundary"]).NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(part))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var linkPattern = regexp.MustCompile(`(?m)^(https?://\S+/magic-link)#token=(\S+?)\r?$`)

// link returns the link in a mail and the token in that link.
func link(t *testing.T, message *netmail.Message) (whole, token string) {
	t.Helper()
	text := plainText(t, message)
	found := linkPattern.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the mail has no link:\n%s", text)
	}
	return found[1] + "#token=" + found[2], found[2]
}

// outbox returns the mails that the edge left in its folder ./outbox.
func outbox(t *testing.T, e *edgetest.Edge) []*netmail.Message {
	t.Helper()
	return readMails(t, filepath.Join(e.Dir, "outbox"))
}

// onlyToken returns the token of the one mail in ./outbox.
func onlyToken(t *testing.T, e *edgetest.Edge) string {
	t.Helper()
	mails := outbox(t, e)
	if len(mails) != 1 {
		t.Fatalf("the outbox holds %d mails, want 1", len(mails))
	}
	_, token := link(t, mails[0])
	return token
}

// lastToken returns the token of the last link that was mailed.
func lastToken(t *testing.T, mails []*netmail.Message) string {
	t.Helper()
	for _, mail := range slices.Backward(mails) {
		if found := linkPattern.FindStringSubmatch(plainText(t, mail)); found != nil {
			return found[2]
		}
	}
	t.Fatalf("none of %d mails has a link", len(mails))
	return ""
}
