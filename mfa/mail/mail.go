// Package mail sends the product's mail: through an SMTP server, or for
// development into a directory, one .eml file per message.
package mail

import (
	"context"
	"errors"
)

// Message is one mail to one person, as plain text and as HTML.
type Message struct {
	To      string // a bare address in ASCII, its domain in lower case, such as alice@example.com
	Subject string
	Text    string
	HTML    string
}

// Sender delivers messages. Its methods may be called concurrently.
type Sender interface {
	// Send hands msg to the mail system, or says why it could not. It
	// returns when ctx ends, and within some seconds at the latest. A nil error means
	// that the mail system took the message, not that it was read. After
	// any error but ErrUnavailable it may have taken it all the same. Errors
	// hold neither the message's content nor a password.
	Send(ctx context.Context, msg Message) error
}

// ErrUnavailable is returned when the mail system could not be brought to
// the point of being told a recipient: it certainly sends nothing.
var ErrUnavailable = errors.New("mail system unavailable")
