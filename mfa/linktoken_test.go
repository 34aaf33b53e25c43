package mfa_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestALinkThatWasNeverMailedReadsNothing(t *testing.T) {
	f := newFixture(t)
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	mailed := f.mails.Token(t)
	node, way := f.watchedNode()
	owner, secret, _ := strings.Cut(mailed, ".")
	parts := strings.Split(owner, "~")
	madeUp := []string{
		"", ".", "~~.", mailed + "A" + strings.Repeat("A", 300),
		parts[0] + "." + secret,
		parts[0] + "~" + parts[1] + "." + secret,
		parts[0] + "~zzzzzz~" + parts[2] + "." + secret,
		strings.Repeat("A", len(parts[0])) + "~" + parts[1] + "~" + parts[2] + "." + secret,
		parts[0] + "~" + parts[1] + "~" + strings.Repeat("A", len(parts[2])) + "." + secret,
	}
	for n := range 100 {
		account := base64.RawURLEncoding.EncodeToString(fmt.Appendf(make([]byte, 29), "%03d", n))
		madeUp = append(madeUp, account+"."+secret, account+"~"+parts[1]+"~"+parts[2]+"."+secret)
	}
	way.reads.Store(0)
	for _, token := range madeUp {
		_, err := node.InspectLink(t.Context(), token)
		wantError(t, err, mfa.ErrWrongProof)
		wantError(t, node.ActivateMagicLink(t.Context(), mfa.OpenedLink{Token: token}), mfa.ErrWrongProof)
		wantError(t, node.DenyLink(t.Context(), mfa.OpenedLink{Token: token}), mfa.ErrWrongProof)
	}
	if n := way.reads.Load(); n != 0 {
		t.Errorf("the store was read %d times", n)
	}
	if _, err := node.InspectLink(t.Context(), mailed); err != nil || way.reads.Load() != 1 {
		t.Errorf("the mailed one: %v, after %d readings", err, way.reads.Load())
	}
	// A link reads nothing for ever.
	f.advance(24 * time.Hour)
	way.reads.Store(0)
	_, err := node.InspectLink(t.Context(), mailed)
	wantError(t, err, mfa.ErrWrongProof)
	if n := way.reads.Load(); n != 0 {
		t.Errorf("an old link read the store %d times", n)
	}
}

func TestALinkOutlivesAChangeOfKeys(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	n.rotate()
	if err := f.activate(f.mails.Token(t)); err != nil {
		t.Error(err)
	}
}
