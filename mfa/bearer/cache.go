package bearer

import (
	"context"
	"strings"
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

// AddressSubjects is Verifier.AddressSubjects.
func (c *Cached) AddressSubjects() bool { return c.verifier.AddressSubjects() }

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
	identity, size := identity.packed()
	c.verified.Put(token, identity, size, until)
	return identity, nil
}

// packed returns i with all texts in one piece of memory, and the lists in
// another: what is kept is not the token that the texts were read from, and
// the garbage collector has little to look at. Size is about how much memory
// all that it points to takes, in bytes.
func (i Identity) packed() (_ Identity, size int) {
	length, count := len(i.Issuer)+len(i.Subject)+len(i.Claimed)+len(i.Email), 0
	measure := func(list []string) {
		count += len(list)
		for _, text := range list {
			length += len(text)
		}
	}
	measure(i.Organizations)
	measure(i.Roles)
	measure(i.AMR)
	measure(i.Audience)
	for _, list := range i.Kept {
		measure(list)
	}

	var texts strings.Builder
	texts.Grow(length)
	pack := func(text *string) {
		from := texts.Len()
		texts.WriteString(*text)
		*text = texts.String()[from:]
	}
	lists := make([]string, 0, count)
	packed := func(list []string) []string {
		if list == nil {
			return nil
		}
		from := len(lists)
		lists = append(lists, list...)
		list = lists[from:len(lists):len(lists)]
		for k := range list {
			pack(&list[k])
		}
		return list
	}
	pack(&i.Issuer)
	pack(&i.Subject)
	pack(&i.Claimed)
	pack(&i.Email)
	i.Organizations = packed(i.Organizations)
	i.Roles = packed(i.Roles)
	i.AMR = packed(i.AMR)
	i.Audience = packed(i.Audience)
	for name, list := range i.Kept {
		i.Kept[name] = packed(list)
	}

	size = length + count*int(unsafe.Sizeof("")) + len(i.AMRTimes)*int(unsafe.Sizeof(time.Time{}))
	if i.Kept != nil {
		const emptyMap, slot = 400, 96
		size += emptyMap + slot*len(i.Kept)
	}
	return i, size + size/8 // which the allocator rounds up
}
