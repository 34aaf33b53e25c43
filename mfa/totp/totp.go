// Package totp is the authenticator-app factor, GOOGLE_AUTH: time-based
// one-time passwords (RFC 6238) in the one form that every app
// understands, which is SHA-1, six digits and 30 seconds.
//
// It makes the secret, the otpauth URI and its QR code, and finds the
// time step that a code belongs to, at the setup and at every login. That
// step is kept with the credential: a code is good once, and only the kept
// step can say which codes are gone.
package totp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	// secretSize is the length of a shared secret in bytes: the 160 bits
	// that RFC 4226, section 4, recommends.
	secretSize = 20

	// secretLength is the number of characters of a secret in base32
	// without padding.
	secretLength = (secretSize*8 + 4) / 5

	// maxSkew bounds Config.Skew: five minutes to either side is more
	// than a clock that is set at all is ever off by.
	maxSkew = 10
)

// Config is what an operator decides about this factor.
type Config struct {
	// Issuer is shown by the app above the account: the name of the
	// product or organization. It is 1 to 64 bytes of UTF-8, without
	// control characters.
	Issuer string

	// Skew is how many time steps of 30 seconds before and after the
	// current one are accepted as well, 0 to 10.
	Skew uint
}

// Kind implements factor.Kind.
type Kind struct {
	issuer string
	skew   int64
}

var _ factor.Kind = (*Kind)(nil)

// New returns the kind that config describes. An error is returned when
// the issuer cannot be shown by every app or the skew is out of range.
func New(config Config) (*Kind, error) {
	if err := checkIssuer(config.Issuer); err != nil {
		return nil, err
	}
	if config.Skew > maxSkew {
		return nil, fmt.Errorf("skew is %d time steps: give 0 to %d, each is 30 seconds to either side", config.Skew, maxSkew)
	}
	return &Kind{issuer: config.Issuer, skew: int64(config.Skew)}, nil
}

// Enrolment is what the client is told at setup. All of it gives the
// secret away.
type Enrolment struct {
	// Secret is the shared secret in base32 without padding, for typing
	// it in: 32 characters.
	Secret string `json:"secret"`

	// URL is the otpauth URI that the QR code holds.
	URL string `json:"otpauthUrl"`

	// QRCode is a PNG image as a data URL ("data:image/png;base64,…").
	QRCode string `json:"qrCode"`
}

// pending is the state of a setup that waits for its first code.
type pending struct {
	Secret string `json:"secret"`
	Name   string `json:"name"`
}

// credential is the state of a confirmed factor.
type credential struct {
	Secret string `json:"secret"`
	// LastStep is the latest time step whose code was accepted; codes of
	// this step and of earlier ones are spent.
	LastStep int64 `json:"lastStep"`
}

// Type returns factor.TypeTOTP.
func (k *Kind) Type() factor.Type { return factor.TypeTOTP }

// Begin makes a fresh secret and an Enrolment that shows it. The app will
// list the account by request.Email, or by account.Name when no e-mail
// address is given. factor.ErrBadRequest is returned when that address
// holds control characters or is not UTF-8, or when neither name has
// anything to show.
func (k *Kind) Begin(account factor.Account, request factor.Request, _ time.Time) (factor.Offer, error) {
	label, err := accountLabel(account, request)
	if err != nil {
		return factor.Offer{}, err
	}

	var raw [secretSize]byte
	rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:])

	uri := keyURI(k.issuer, label, secret)
	image, err := qrDataURL(uri)
	if err != nil {
		return factor.Offer{}, err
	}
	state, err := json.Marshal(pending{Secret: secret, Name: factorName(request.Device)})
	if err != nil {
		return factor.Offer{}, fmt.Errorf("writing pending setup: %w", err)
	}
	return factor.Offer{
		State:  state,
		Answer: Enrolment{Secret: secret, URL: uri, QRCode: image},
	}, nil
}

// Confirm accepts the code of a current time step, and spends that step.
// factor.ErrWrongProof is returned for any other code,
// factor.ErrMalformedProof, which wraps it, for what cannot be one.
func (k *Kind) Confirm(_ factor.Account, state json.RawMessage, proof factor.Proof, now time.Time) (factor.Credential, error) {
	var setup pending
	if err := json.Unmarshal(state, &setup); err != nil {
		// The cause may quote the state, and the state holds the secret.
		return factor.Credential{}, errors.New("reading pending setup: not the state of an authenticator app")
	}
	code, err := parseCode(proof.Code)
	if err != nil {
		return factor.Credential{}, err
	}
	step, err := k.findStep(setup.Secret, code, now, noStep)
	if err != nil {
		return factor.Credential{}, err
	}
	kept, err := json.Marshal(credential{Secret: setup.Secret, LastStep: step})
	if err != nil {
		return factor.Credential{}, fmt.Errorf("writing credential: %w", err)
	}
	return factor.Credential{Name: setup.Name, State: kept}, nil
}
