package demo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wneessen/go-mail"
)

// shownMails is how many mails the inbox shows, the latest first.
const shownMails = 20

const maxMail = 1 << 20

// letter is a mail to read.
type letter struct {
	Subject, To, Date string
	Lines             []line
}

// line is one of a mail's text, or a link of its own.
type line struct{ Text, Link string }

// inbox shows the mails that the product has left in the folder.
func (a *App) inbox(w http.ResponseWriter, r *http.Request) {
	letters, err := a.letters()
	if err != nil {
		a.fail(w, "reading mails", err)
		return
	}
	a.show(w, r, http.StatusOK, "inbox", page{Letters: letters})
}

func (a *App) letters() ([]letter, error) {
	if a.config.Outbox == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(a.config.Outbox)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // made with the first mail
	}
	if err != nil {
		return nil, err
	}
	var letters []letter
	for _, entry := range slices.Backward(entries) { // their names begin with the time
		if len(letters) == shownMails {
			break
		}
		if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), ".eml") {
			continue
		}
		one, err := a.readLetter(filepath.Join(a.config.Outbox, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", entry.Name(), err)
		}
		letters = append(letters, one)
	}
	return letters, nil
}

func (a *App) readLetter(path string) (letter, error) {
	file, err := os.Open(path)
	if err != nil {
		return letter{}, err
	}
	defer file.Close()
	message, err := mail.EMLToMsgFromReader(io.LimitReader(file, maxMail))
	if err != nil {
		return letter{}, err
	}
	first := func(header mail.Header) string { return strings.Join(message.GetGenHeader(header), " ") }
	l := letter{Subject: first(mail.HeaderSubject), Date: first(mail.HeaderDate)}
	for _, to := range message.GetTo() {
		l.To = to.Address // the product writes to one at a time
	}
	for _, part := range message.GetParts() {
		if part.GetContentType() != mail.TypeTextPlain {
			continue
		}
		content, err := part.GetContent()
		if err != nil {
			return letter{}, err
		}
		for text := range strings.Lines(string(content)) {
			text = strings.TrimRight(text, "\r\n")
			one := line{Text: text}
			if strings.HasPrefix(text, a.config.Origin+"/") && !strings.ContainsAny(text, " \t") {
				one.Link = text
			}
			l.Lines = append(l.Lines, one)
		}
	}
	return l, nil
}
