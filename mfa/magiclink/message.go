package magiclink

import (
	_ "embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

//go:embed setup.txt
var setupText string

//go:embed setup.html
var setupHTML string

var (
	setupTextTemplate = texttemplate.Must(texttemplate.New("setup.txt").Parse(setupText))
	setupHTMLTemplate = htmltemplate.Must(htmltemplate.New("setup.html").Parse(setupHTML))
)

// setupData is what the templates of the setup mail show.
type setupData struct {
	Issuer  string
	Account string // "" when the account's name is not fit to be shown
	Link    string
	Within  string // "10 minutes"
	Until   string // "14:05 UTC on 2 January 2006"
}

// setupMail writes the mail that asks to confirm an address.
//
// With Any, a stranger can have this mail sent to whom they like. It is
// of no use to them as long as they choose none of its words: so it does
// not repeat the address, whose local part may say anything, and all it
// shows of the account is a name that reads as one.
func (k *Kind) setupMail(to address, accountName, link string, now time.Time) (mail.Message, error) {
	data := setupData{
		Issuer:  k.issuer,
		Account: presentableName(accountName),
		Link:    link,
		Within:  inWords(k.expiry),
		Until:   now.Add(k.expiry).UTC().Format("15:04 UTC on 2 January 2006"),
	}
	var text, html strings.Builder
	if err := setupTextTemplate.Execute(&text, data); err != nil {
		return mail.Message{}, fmt.Errorf("writing magic link mail: %w", err)
	}
	if err := setupHTMLTemplate.Execute(&html, data); err != nil {
		return mail.Message{}, fmt.Errorf("writing magic link mail: %w", err)
	}
	return mail.Message{
		To:      string(to),
		Subject: "Confirm your e-mail address for " + k.issuer,
		Text:    text.String(),
		HTML:    html.String(),
	}, nil
}

// presentableName returns name if it looks like an identifier or an
// e-mail address, else "". What could carry a message or a link is not
// shown: blanks, slashes, other scripts' letters (which write sentences
// without blanks), and dots outside an e-mail address, because mail
// programs turn example.com into a link.
func presentableName(name string) string {
	const longest = 64
	if name == "" || len(name) > longest {
		return ""
	}
	others := "-_|:"
	if strings.Count(name, "@") == 1 {
		if parsed, err := parseAddress(name); err != nil || !strings.EqualFold(string(parsed), name) {
			return ""
		}
		others = "-_.+@"
	}
	for i := range len(name) {
		if !isLetterOrDigit(name[i]) && strings.IndexByte(others, name[i]) < 0 {
			return ""
		}
	}
	return name
}

// inWords tells a duration in its largest whole unit.
func inWords(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.length && d%unit.length == 0 {
			return count(int64(d/unit.length), unit.name)
		}
	}
	if d >= time.Minute { // rounded down: never more than is true
		return count(int64(d/time.Minute), "minute")
	}
	return count(int64(d/time.Second), "second")
}

func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
