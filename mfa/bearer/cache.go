package bearer

import (
	"context"
	"time"
	"unsafe"

	"github.com/caddymfa/caddy-mfa/mfa/internal/tokencache"
)

const (
	// cacheBytes bounds the memory that remembered identities take.
	cacheBytes = 16 << 20

	// cacheTime is how long a token is believed without being looked at
	// again.
	cacheTime = time.Minute
)

// Cached is a Verifier that verifies a token once a minute and remembers in
// between, in 16 MiB at most, what it said. It is safe for concurrent use.
//
// At every instant it answers as its Verifier would, but for the keys: a
// token that was accepted counts for up to a minute after the KeySource has
// dropped its key, or can tell of no keys any more. That minute comes on top
// of the time in which the source itself learns of it. Refusals are not
// remembered.
type Cached struct {
	verifier *Verifier
	verified *tokencache.Cache[Identity]
}

// NewCached makes a Cached of v.
func NewCached(v *Verifier) *Cached {
	return &Cached{verifier: v, verified: tokencache.New[Identity](cacheBytes, v.now)}
}

// Verify is Verifier.Verify. The slices and the map of the Identity are
// shared with other callers and must not be changed.
func (c *Cached) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > maxToken {
		// What is refused anyway is not worth a hash.
		return c.verifier.Verify(ctx, token)
	}
	if identity, ok := c.verified.Get(token); ok {
		return identity, nil
	}
	// The minute starts before the keys are looked up: waiting for them
	// must not have a withdrawn one count for longer.
	until := c.verifier.now().Add(cacheTime)
	identity, err := c.verifier.Verify(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	if end := c.verifier.end(identity); end.Before(until) {
		until = end
	}
	c.verified.Put(token, identity, identity.size(), until)
	return identity, nil
}

// size is about how much memory an identity takes with all it points to, in
// bytes.
func (i Identity) size() int {
	n := int(unsafe.Sizeof(i)) + textSize(i.Issuer) + textSize(i.Subject) + textSize(i.Email) +
		listSize(i.Organizations) + listSize(i.Roles) + listSize(i.AMR) + listSize(i.Audience)
	if i.Kept != nil {
		const emptyMap, slot = 400, 96
		n += emptyMap
		for _, texts := range i.Kept {
			n += slot + listSize(texts)
		}
	}
	return n
}

func listSize(texts []string) int {
	n := cap(texts) * int(unsafe.Sizeof(""))
	for _, text := range texts {
		n += textSize(text)
	}
	return n
}

// textSize counts what the allocator rounds up, too.
func textSize(text string) int { return len(text) + 16 }
