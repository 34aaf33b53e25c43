package bearer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// maxSkew bounds Config.Skew: more would quietly turn short-lived tokens
// into long-lived ones.
const maxSkew = 10 * time.Minute

// Config says which tokens a Verifier accepts.
type Config struct {
	// Keys are the keys that tokens must be signed with. Required.
	Keys KeySource

	// Issuer must equal the iss claim. Empty means the issuer that Keys
	// stands for (OIDC, DevKeys), or any where Keys names none. One that
	// contradicts Keys is an error.
	Issuer string

	// Audience lists the values of which at least one must be in the aud
	// claim (RFC 7519 section 4.1.3). Empty leaves aud unchecked, so that
	// every token of the issuer is accepted, whatever it was made for.
	Audience []string

	// Skew is how far the issuer's clock may differ from ours: it is
	// granted to exp, nbf, iat and auth_time. Zero means none; at most
	// ten minutes.
	Skew time.Duration

	// Claims names the claims that the identity is read from.
	Claims Claims

	// Keep names further claims that the identity shall tell, looked for as
	// those of Claims are.
	Keep []string

	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	keys     KeySource
	issuer   string
	audience []string
	skew     time.Duration
	claims   claimNames
	now      func() time.Time

	known atomic.Pointer[header] // of the last token whose signature was good
}

// New makes a Verifier. The error names the setting that is wrong.
func New(config Config) (*Verifier, error) {
	if config.Keys == nil {
		return nil, errors.New("no keys: a key source is required")
	}
	if config.Skew < 0 || config.Skew > maxSkew {
		return nil, fmt.Errorf("clock_skew: %v is out of range: it must be from 0 to %v", config.Skew, maxSkew)
	}
	for _, audience := range config.Audience {
		if audience == "" {
			return nil, errors.New("audience is empty: name one, or leave the setting out")
		}
	}
	issuer := config.Issuer
	switch own := config.Keys.issuer(); {
	case issuer == "":
		issuer = own
	case own != "" && own != issuer:
		return nil, fmt.Errorf("issuer %q contradicts the issuer of the keys, %q: leave it out or make them equal", issuer, own)
	}
	names := config.Claims.named()
	for _, claim := range config.Keep {
		names.kept = append(names.kept, claimName{name: claim, label: claimLabel("kept", claim)})
	}
	now := config.Now
	if now == nil {
		now = time.Now
	}
	return &Verifier{
		keys:     config.Keys,
		issuer:   issuer,
		audience: append([]string(nil), config.Audience...),
		skew:     config.Skew,
		claims:   names,
		now:      now,
	}, nil
}

// AddressSubjects reports whether the subjects of identities are e-mail
// addresses, because they are read from the claim of the e-mail address. Such
// subjects are in lower case.
func (v *Verifier) AddressSubjects() bool { return v.claims.addressSubjects() }

// Prefetch has the keys read or fetched if that is yet to be done, so that
// a wrong address is in the log before the first token comes, and that
// token does not wait. It returns within some seconds.
func (v *Verifier) Prefetch(ctx context.Context) {
	// Which key does not matter: a source that has none yet gets them all.
	_, _ = v.keys.lookup(ctx, query{now: v.now})
}

// Verify checks token, a compact JWS without any "Bearer" before it, and
// returns who it speaks for.
//
// ErrInvalidToken is returned, wrapped with a reason that may be shown to
// the caller, when the token is refused. ErrKeysUnavailable is returned,
// wrapped with the cause, when the keys cannot be had, or ctx ended while
// waiting for them; that wait is about three seconds at most.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	jws, err := parseCompact(token, v.known.Load())
	if err != nil {
		return Identity{}, err
	}
	q := query{keyID: jws.keyID, algorithm: jws.algorithm, now: v.now}
	keys, err := v.keys.lookup(ctx, q)
	if errors.Is(err, errUnknownKey) {
		return Identity{}, invalid("no known key fits the token's kid and alg")
	}
	if err != nil {
		return Identity{}, err
	}
	if !jws.signedWith(keys) && !jws.signedWith(v.keys.newer(ctx, q, keys)) {
		return Identity{}, invalid("the signature does not verify")
	}
	v.remember(jws.header)
	claims, err := decodeObject(jws.payload)
	if err != nil {
		return Identity{}, invalid("the claims " + err.Error())
	}
	identity, err := v.claims.identity(claims)
	if err != nil {
		return Identity{}, err
	}
	if err := v.accept(claims, identity); err != nil {
		return Identity{}, err
	}
	return identity, nil
}

// remember has the header h of a token with a good signature known, unless
// it is.
func (v *Verifier) remember(h header) {
	if known := v.known.Load(); known != nil && known.encoded == h.encoded {
		return
	}
	v.known.Store(&header{
		encoded:   strings.Clone(h.encoded), // not to keep the whole token
		algorithm: h.algorithm, keyID: h.keyID,
	})
}
