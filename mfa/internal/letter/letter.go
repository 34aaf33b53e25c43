// Package letter writes the product's mails: all in one layout, and with
// nothing in them that a stranger could use to say something of their own.
// Whoever begins a setup or a login chooses account name, device and
// address; a mail shows of these what is recognised, and leaves the rest
// out.
package letter

import (
	_ "embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

//go:embed layout.html
var layoutHTML string

var layout = htmltemplate.Must(htmltemplate.New("layout.html").Parse(layoutHTML))

// functions are what templates may call beside the language's own.
var functions = htmltemplate.FuncMap{
	// ended is a name at the end of a sentence: Acme, Inc. has its dot already.
	"ended": func(name string) string { return strings.TrimSuffix(name, ".") + "." },
}

// Template is one kind of mail, as plain text and as HTML. It may be used
// concurrently.
type Template struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// MustParse makes a template of a text and of an HTML that defines "title"
// and "body" for the layout. The layout shows the data's field Issuer, and
// offers the templates "button" and "address", which show its field Link.
// MustParse panics when one cannot be parsed.
func MustParse(text, html string) *Template {
	return &Template{
		text: texttemplate.Must(texttemplate.New("text").Funcs(texttemplate.FuncMap(functions)).Parse(text)),
		html: htmltemplate.Must(htmltemplate.Must(layout.Clone()).New("parts").Funcs(functions).Parse(html)).Lookup(layout.Name()),
	}
}

// Message writes the mail. The text shows data as it is, so data must hold
// nothing of a stranger's that did not go through this package.
func (t *Template) Message(to mailbox.Address, subject string, data any) (mail.Message, error) {
	var text, html strings.Builder
	if err := t.text.Execute(&text, data); err != nil {
		return mail.Message{}, fmt.Errorf("writing mail: %w", err)
	}
	if err := t.html.Execute(&html, data); err != nil {
		return mail.Message{}, fmt.Errorf("writing mail: %w", err)
	}
	return mail.Message{To: string(to), Subject: subject, Text: text.String(), HTML: html.String()}, nil
}
