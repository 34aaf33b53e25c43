// Package magiclink is the factor that an e-mail address makes: whoever
// can open a link that was mailed to it holds it. This package enrols an
// address, by a link whose token, sent back, confirms that the address
// reaches the person, and mails login links to a confirmed one.
//
// The token stands in the link's fragment, which browsers keep from
// servers, proxies and logs; a page at the link's URL reads it and sends
// it back when the person presses a button, so that a mail scanner that
// follows links confirms nothing.
package magiclink

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/internal/letter"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

// Addresses says which addresses a person may enrol.
type Addresses string

const (
	// Any lets the person name the address. The link proves that it is
	// theirs.
	Any Addresses = "any"
	// Claim allows only the address that the person's access token claims.
	Claim Addresses = "claim"
)

const (
	defaultExpiry = 10 * time.Minute
	longestExpiry = 24 * time.Hour
)

// Config says how links are made and sent.
type Config struct {
	// Sender takes the mails.
	Sender mail.Sender
	// LinkURL is the absolute URL, http or https, of the page that links
	// open, such as https://example.com/mfa/magic-link. It must come from
	// the configuration, never from a request: the token follows it.
	LinkURL string
	// Issuer is the name of the service, as mails show it.
	Issuer string
	// Expiry is how long a link works, 24 hours at most. It defaults to
	// 10 minutes.
	Expiry time.Duration
	// Addresses defaults to Any.
	Addresses Addresses
	// Local allows addresses at localhost and at hosts without a domain, for a
	// Sender whose mail stays on this machine.
	Local bool
}

// Kind is factor.Kind for MAGIC_LINK. It may be used concurrently.
type Kind struct {
	sender    mail.Sender
	linkURL   string
	issuer    string
	expiry    time.Duration
	addresses Addresses
	parse     func(address string) (mailbox.Address, error)
}

// Enrolment is what the client is told about a setup that has begun.
type Enrolment struct {
	// Email is the address that the link was mailed to.
	Email string
}

// pending is factor.Offer.State: what confirms a setup.
type pending struct {
	Address    mailbox.Address `json:"address"`
	SecretHash []byte          `json:"secretHash"` // SHA-256
}

// confirmed is factor.Credential.State.
type confirmed struct {
	Address mailbox.Address `json:"address"`
}

// New checks config and returns the kind.
func New(config Config) (*Kind, error) {
	if config.Sender == nil {
		return nil, errors.New("magic link: a mail sender is needed: configure smtp or a directory")
	}
	link, err := letter.PageURL(config.LinkURL)
	if err != nil {
		return nil, fmt.Errorf("magic link: %w", err)
	}
	issuer, err := letter.Issuer(config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("magic link: %w", err)
	}
	expiry := config.Expiry
	if expiry == 0 {
		expiry = defaultExpiry
	}
	if expiry < time.Second || expiry > longestExpiry {
		return nil, fmt.Errorf("magic link: the expiry %s is not between 1s and %s", config.Expiry, longestExpiry)
	}
	addresses := config.Addresses
	switch addresses {
	case "":
		addresses = Any
	case Any, Claim:
	default:
		return nil, fmt.Errorf("magic link: unknown choice of addresses %q: choose any or claim", config.Addresses)
	}
	kind := &Kind{sender: config.Sender, linkURL: link, issuer: issuer, expiry: expiry, addresses: addresses, parse: mailbox.Parse}
	if config.Local {
		kind.parse = mailbox.ParseLocal
	}
	return kind, nil
}

// Type returns factor.TypeMagicLink.
func (k *Kind) Type() factor.Type { return factor.TypeMagicLink }

// Begin makes a link for the address; Offer.Deliver mails it. The answer
// is an Enrolment. Enrolling an address that is already confirmed is
// allowed: the person may have lost track of it.
func (k *Kind) Begin(account factor.Account, request factor.Request, now time.Time) (factor.Offer, error) {
	to, err := k.chooseAddress(account, request)
	if err != nil {
		return factor.Offer{}, fmt.Errorf("%w: %w", factor.ErrBadRequest, err)
	}
	return k.offer(account, to, now)
}

// Resend makes another link for the address of the pending setup in state,
// with a new token, as of the old one only the hash is left. The offer is
// like Begin's. Its State replaces the pending one, and the older link
// then confirms nothing. factor.ErrBadRequest is returned for an address that
// may no longer be enrolled.
func (k *Kind) Resend(account factor.Account, state json.RawMessage, now time.Time) (factor.Offer, error) {
	setup, err := decodePending(state)
	if err != nil {
		return factor.Offer{}, err
	}
	to, err := k.chooseAddress(account, factor.Request{Email: string(setup.Address)})
	if err != nil {
		return factor.Offer{}, fmt.Errorf("%w: %w", factor.ErrBadRequest, err)
	}
	return k.offer(account, to, now)
}

// offer makes a setup of the address.
func (k *Kind) offer(account factor.Account, to mailbox.Address, now time.Time) (factor.Offer, error) {
	token, secretHash, err := newToken(account.Key)
	if err != nil {
		return factor.Offer{}, err
	}
	state, err := json.Marshal(pending{Address: to, SecretHash: secretHash})
	if err != nil {
		return factor.Offer{}, fmt.Errorf("encoding magic link state: %w", err)
	}
	msg, err := k.setupMail(to, account.Name, token, now)
	if err != nil {
		return factor.Offer{}, err
	}
	return factor.Offer{
		State:    state,
		Answer:   Enrolment{Email: string(to)},
		Lifetime: k.expiry,
		Address:  to.Mailbox(),
		Deliver:  func(ctx context.Context) error { return k.sender.Send(ctx, msg) },
	}, nil
}

// chooseAddress returns the address to mail to. Its errors are for the
// caller.
func (k *Kind) chooseAddress(account factor.Account, request factor.Request) (mailbox.Address, error) {
	if k.addresses == Any {
		if request.Email == "" {
			return "", errors.New("email is required for MAGIC_LINK: send the address that shall get the link")
		}
		to, err := k.parse(request.Email)
		if err != nil {
			return "", fmt.Errorf("email cannot be used: %w", err)
		}
		return to, nil
	}
	if account.Email == "" {
		return "", errors.New("MAGIC_LINK needs an access token with an e-mail claim, and yours has none: sign in again so that it has, or set up another mfaType")
	}
	to, err := k.parse(account.Email)
	if err != nil {
		return "", fmt.Errorf("the e-mail address that your access token claims cannot be used: %w", err)
	}
	if request.Email != "" {
		named, err := k.parse(request.Email)
		if err != nil || named.Canonical() != to.Canonical() {
			return "", errors.New("email is not the address that your access token claims, and only that one may be used: leave email out")
		}
	}
	return to, nil
}

// Confirm checks proof.Token, which has to be the whole token of this
// very setup.
func (k *Kind) Confirm(account factor.Account, state json.RawMessage, proof factor.Proof, _ time.Time) (factor.Credential, error) {
	setup, err := decodePending(state)
	if err != nil {
		return factor.Credential{}, err
	}
	if proof.Token == "" {
		return factor.Credential{}, fmt.Errorf("%w: no token was sent", factor.ErrWrongProof)
	}
	accountKey, hash, ok := HashToken(proof.Token)
	if !ok {
		return factor.Credential{}, fmt.Errorf("%w: the token is malformed", factor.ErrWrongProof)
	}
	if subtle.ConstantTimeCompare([]byte(accountKey), []byte(account.Key)) != 1 {
		return factor.Credential{}, fmt.Errorf("%w: the token belongs to another account", factor.ErrWrongProof)
	}
	if subtle.ConstantTimeCompare(hash, setup.SecretHash) != 1 {
		return factor.Credential{}, fmt.Errorf("%w: the token is not of this setup", factor.ErrWrongProof)
	}
	credential, err := json.Marshal(confirmed{Address: setup.Address})
	if err != nil {
		return factor.Credential{}, fmt.Errorf("encoding magic link credential: %w", err)
	}
	return factor.Credential{Name: string(setup.Address), State: credential}, nil
}

func decodePending(state json.RawMessage) (pending, error) {
	var setup pending
	if err := json.Unmarshal(state, &setup); err != nil {
		return pending{}, fmt.Errorf("decoding magic link state: %w", err)
	}
	if len(setup.SecretHash) != sha256.Size || setup.Address == "" {
		return pending{}, errors.New("decoding magic link state: it is incomplete")
	}
	return setup, nil
}
