// Package magiclink is the factor that an e-mail address makes: whoever
// can open a link that was mailed to it holds it. This package enrols an
// address: it mails a link whose token, sent back, confirms that the
// address reaches the person.
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
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
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
}

// Kind is factor.Kind for MAGIC_LINK. It may be used concurrently.
type Kind struct {
	sender    mail.Sender
	linkURL   string
	issuer    string
	expiry    time.Duration
	addresses Addresses
}

// Enrolment is what the client is told about a setup that has begun.
type Enrolment struct {
	// Email is the address that the link was mailed to.
	Email string
}

// pending is factor.Offer.State: what confirms a setup.
type pending struct {
	Address    address `json:"address"`
	SecretHash []byte  `json:"secretHash"` // SHA-256
}

// confirmed is factor.Credential.State.
type confirmed struct {
	Address address `json:"address"`
}

// New checks config and returns the kind.
func New(config Config) (*Kind, error) {
	if config.Sender == nil {
		return nil, errors.New("magic link: a mail sender is needed: configure smtp or a directory")
	}
	link, err := url.Parse(config.LinkURL)
	if err != nil {
		return nil, fmt.Errorf("magic link: parsing the link's URL: %w", err)
	}
	if link.Scheme != "https" && link.Scheme != "http" || link.Hostname() == "" || link.User != nil ||
		strings.ContainsAny(config.LinkURL, "#") {
		return nil, fmt.Errorf("magic link: the link's URL %q is not an absolute http or https URL without user and fragment, "+
			"such as https://example.com/mfa/magic-link", link.Redacted())
	}
	issuer := strings.TrimSpace(config.Issuer)
	if issuer == "" || !utf8.ValidString(issuer) || strings.ContainsFunc(issuer, unicode.IsControl) {
		return nil, fmt.Errorf("magic link: the issuer %q is empty or no plain text: set the service's name", config.Issuer)
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
	return &Kind{sender: config.Sender, linkURL: link.String(), issuer: issuer, expiry: expiry, addresses: addresses}, nil
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
	token, secretHash, err := newToken(account.Key)
	if err != nil {
		return factor.Offer{}, err
	}
	state, err := json.Marshal(pending{Address: to, SecretHash: secretHash})
	if err != nil {
		return factor.Offer{}, fmt.Errorf("encoding magic link state: %w", err)
	}
	msg, err := k.setupMail(to, account.Name, k.linkURL+"#token="+token, now)
	if err != nil {
		return factor.Offer{}, err
	}
	return factor.Offer{
		State:    state,
		Answer:   Enrolment{Email: string(to)},
		Lifetime: k.expiry,
		Address:  to.mailbox(),
		Deliver:  func(ctx context.Context) error { return k.sender.Send(ctx, msg) },
	}, nil
}

// chooseAddress returns the address to mail to. Its errors are for the
// caller.
func (k *Kind) chooseAddress(account factor.Account, request factor.Request) (address, error) {
	if k.addresses == Any {
		if request.Email == "" {
			return "", errors.New("email is required for MAGIC_LINK: send the address that shall get the link")
		}
		to, err := parseAddress(request.Email)
		if err != nil {
			return "", fmt.Errorf("email cannot be used: %w", err)
		}
		return to, nil
	}
	if account.Email == "" {
		return "", errors.New("MAGIC_LINK needs an access token with an e-mail claim, and yours has none: sign in again so that it has, or set up another mfaType")
	}
	to, err := parseAddress(account.Email)
	if err != nil {
		return "", fmt.Errorf("the e-mail address that your access token claims cannot be used: %w", err)
	}
	if request.Email != "" {
		named, err := parseAddress(request.Email)
		if err != nil || named.canonical() != to.canonical() {
			return "", errors.New("email is not the address that your access token claims, and only that one may be used: leave email out")
		}
	}
	return to, nil
}

// Confirm checks proof.Token, which has to be the whole token of this
// very setup.
func (k *Kind) Confirm(account factor.Account, state json.RawMessage, proof factor.Proof, _ time.Time) (factor.Credential, error) {
	var setup pending
	if err := json.Unmarshal(state, &setup); err != nil {
		return factor.Credential{}, fmt.Errorf("decoding magic link state: %w", err)
	}
	if len(setup.SecretHash) != sha256.Size || setup.Address == "" {
		return factor.Credential{}, errors.New("decoding magic link state: it is incomplete")
	}
	if proof.Token == "" {
		return factor.Credential{}, fmt.Errorf("%w: no token was sent", factor.ErrWrongProof)
	}
	accountKey, secret, ok := splitToken(proof.Token)
	if !ok {
		return factor.Credential{}, fmt.Errorf("%w: the token is malformed", factor.ErrWrongProof)
	}
	if subtle.ConstantTimeCompare([]byte(accountKey), []byte(account.Key)) != 1 {
		return factor.Credential{}, fmt.Errorf("%w: the token belongs to another account", factor.ErrWrongProof)
	}
	hash := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(hash[:], setup.SecretHash) != 1 {
		return factor.Credential{}, fmt.Errorf("%w: the token is not of this setup", factor.ErrWrongProof)
	}
	credential, err := json.Marshal(confirmed{Address: setup.Address})
	if err != nil {
		return factor.Credential{}, fmt.Errorf("encoding magic link credential: %w", err)
	}
	return factor.Credential{Name: string(setup.Address), State: credential}, nil
}
