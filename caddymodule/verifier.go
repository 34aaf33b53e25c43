package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// verifiers are the checks of access tokens in use, each with the identities
// that it remembers. keySets are the keys that were fetched for them.
var verifiers, keySets = newShared(), newShared()

// verifierKey is all that a remembered identity depends on: every option of
// bearer, the claims that gates ask for, and what is in a key file. So
// nothing that was accepted under another configuration counts, nor under
// another key file once the configuration is loaded again.
func (b *Bearer) verifierKey(devIssuerFile string, keep []string) (string, error) {
	keep = slices.Clone(keep)
	slices.Sort(keep)
	files := make(map[string][]byte)
	paths := []string{b.JWKSFile, b.PublicKey}
	if b.Dev {
		paths = append(paths, devIssuerFile)
	}
	for _, path := range paths {
		if path == "" {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading key file: %w", err)
		}
		files[path] = content
	}
	whole, err := json.Marshal(struct {
		Bearer *Bearer
		Keep   []string
		Files  map[string][]byte
	}{b, slices.Compact(keep), files})
	if err != nil {
		return "", err
	}
	// There may be a secret in it.
	return fmt.Sprintf("%x", sha256.Sum256(whole)), nil
}

// openVerifier returns what checks access tokens, and whether it is new.
// Release must be called once, when there was no error.
func (a *App) openVerifier() (_ *bearer.Cached, isNew bool, release func(), err error) {
	key, err := a.Bearer.verifierKey(a.devIssuerFile(), a.keep)
	if err != nil {
		return nil, false, nil, err
	}
	cached, known, release, err := acquire(verifiers, key, a.newVerifier)
	return cached, !known, release, err
}

// newVerifier makes it, with the keys that an earlier one has fetched.
func (a *App) newVerifier() (*bearer.Cached, func(), error) {
	keys, known, release, err := a.Bearer.sharedKeys(a.devIssuerFile())
	if err != nil {
		return nil, nil, err
	}
	verifier, err := a.Bearer.verifierOf(keys, a.keep)
	if err != nil {
		release()
		return nil, nil, err
	}
	prefetching, cancel := context.WithCancel(context.Background())
	var background panics.Group
	if !known {
		background.Go(panics.KeyFetch, func() { verifier.Prefetch(prefetching) })
	}
	return bearer.NewCached(verifier), func() {
		cancel()
		background.Wait()
		release()
	}, nil
}

// sharedKeys returns the source of keys. What was fetched over the network is
// shared by all that name the same URL: a reload neither fetches it anew nor
// depends on the issuer's being there.
func (b *Bearer) sharedKeys(devIssuerFile string) (keys bearer.KeySource, known bool, release func(), err error) {
	construct := func() (bearer.KeySource, func(), error) {
		keys, err := b.keySource(devIssuerFile, activeLimited)
		return keys, nil, err
	}
	switch {
	case b.JWKSURL != "":
		return acquire(keySets, "jwks_url "+b.JWKSURL, construct)
	case b.OIDC != "":
		return acquire(keySets, "oidc "+b.OIDC, construct)
	}
	keys, _, err = construct()
	return keys, false, func() {}, err
}
