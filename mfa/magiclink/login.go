package magiclink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
)

// LoginRequest is who asks for a login link, as the mail tells it. The
// mail shows of it what it recognises and nothing else, so it may be what
// a client sent.
type LoginRequest struct {
	AccountName, IP, UserAgent string
	At                         time.Time
}

// Link is a login link that is about to be mailed.
type Link struct {
	// TokenHash is what the link's token is recognised by: HashToken
	// returns it for the token.
	TokenHash []byte
	// Lifetime is how long the link works from LoginRequest.At on.
	Lifetime time.Duration
	// Deliver mails the link. It gives up when ctx ends and within seconds
	// of its own accord.
	Deliver func(ctx context.Context) error
}

// BeginLogin makes a login link for the confirmed factor in state and
// changes nothing outside; Link.Deliver mails it. The token names
// account.Key, as that of a setup does.
func (k *Kind) BeginLogin(account factor.Account, state json.RawMessage, request LoginRequest) (Link, error) {
	to, err := confirmedAddress(state)
	if err != nil {
		return Link{}, err
	}
	token, hash, err := newToken(account.Key)
	if err != nil {
		return Link{}, err
	}
	msg, err := k.loginMail(to, request, token)
	if err != nil {
		return Link{}, err
	}
	return Link{
		TokenHash: hash,
		Lifetime:  k.expiry,
		Deliver:   func(ctx context.Context) error { return k.sender.Send(ctx, msg) },
	}, nil
}

// Address returns the address of a confirmed factor's state.
func Address(state json.RawMessage) (string, error) {
	address, err := confirmedAddress(state)
	return string(address), err
}

func confirmedAddress(state json.RawMessage) (mailbox.Address, error) {
	var credential confirmed
	if err := json.Unmarshal(state, &credential); err != nil {
		return "", fmt.Errorf("decoding magic link credential: %w", err)
	}
	if credential.Address == "" {
		return "", errors.New("decoding magic link credential: it is incomplete")
	}
	return credential.Address, nil
}
