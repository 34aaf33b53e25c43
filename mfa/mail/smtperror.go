package mail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
	"unicode"
)

// stage is a part of the SMTP dialogue, as errors name it.
type stage string

const (
	connecting      stage = "connecting"
	greeting        stage = "waiting for the greeting"
	startingTLS     stage = "starting TLS"
	authenticating  stage = "authenticating"
	namingSender    stage = "naming the sender"
	namingRecipient stage = "naming the recipient"
	sendingContent  stage = "sending the content"
)

// describe makes the error that Send returns. When ctx has ended, that is
// the reason, and not the closed connection that it led to.
func (s *SMTP) describe(ctx context.Context, at stage, err error) error {
	var reply *textproto.Error
	var malformed textproto.ProtocolError // quotes the server's line
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.As(err, &reply):
		err = fmt.Errorf("the server answered %d %s", reply.Code, s.redact(reply.Msg))
	case errors.Is(err, io.EOF):
		err = errors.New("the server closed the connection")
	case errors.As(err, &malformed), at == authenticating:
		err = errors.New(s.redact(err.Error()))
	}
	if at == namingRecipient || at == sendingContent {
		return fmt.Errorf("sending mail through %s: %s: %w", s.addr, at, err)
	}
	return fmt.Errorf("%w: sending mail through %s: %s: %w", ErrUnavailable, s.addr, at, err)
}

// redact takes out of a server's words what they may repeat of ours: the
// password, addresses, links and tokens. What an operator needs of them,
// codes and plain words, is short.
func (s *SMTP) redact(text string) string {
	const longest, most, gap = 24, 40, "[...]"
	if s.password != "" {
		for _, form := range []string{
			s.password,
			base64.StdEncoding.EncodeToString([]byte(s.password)),
			base64.StdEncoding.EncodeToString([]byte("\x00" + s.username + "\x00" + s.password)),
		} {
			text = strings.ReplaceAll(text, form, gap)
		}
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) })
	if len(words) > most {
		words = append(words[:most], gap)
	}
	for i, word := range words {
		if len(word) > longest || strings.ContainsAny(word, "@/#=") {
			words[i] = gap
		}
	}
	return strings.Join(words, " ")
}
