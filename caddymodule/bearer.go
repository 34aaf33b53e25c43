package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

const defaultClockSkew = 30 * time.Second

// Bearer says how the access token that callers bring is checked. Exactly
// one source of keys must be given.
type Bearer struct {
	// JWKSURL is the URL of the issuer's JWK set. Keys are kept for 15
	// minutes and, while it cannot be reached, for up to 24 hours.
	JWKSURL string `json:"jwks_url,omitempty"`

	// JWKSFile is the path of a file with a JWK set. It is read again when
	// it changes.
	JWKSFile string `json:"jwks_file,omitempty"`

	// PublicKey is the path of a PEM file with a public key or a
	// certificate. It is read again when it changes.
	PublicKey string `json:"public_key,omitempty"`

	// OIDC is the URL of an OpenID Connect issuer, whose JWK set is found
	// by discovery.
	OIDC string `json:"oidc,omitempty"`

	// HMACSecret is a secret shared with the issuer, 32 bytes or more. By
	// default its text is the secret.
	HMACSecret string `json:"hmac_secret,omitempty"`

	// HMACSecretBase64 says that HMACSecret is base64, in the standard or the
	// URL alphabet, with padding or without, of the bytes that the issuer signs
	// with. Default: false.
	HMACSecretBase64 bool `json:"hmac_secret_base64,omitempty"`

	// Dev makes a local issuer, whose tokens `caddy mfa token` signs, for
	// trying the product. It works only while every site listens on
	// loopback addresses. Default: false.
	Dev bool `json:"dev,omitempty"`

	// Issuer must equal the token's iss. Default: the OpenID Connect
	// issuer where one is given, else unchecked.
	Issuer string `json:"issuer,omitempty"`

	// Audience lists values of which the token's aud must hold at least
	// one. Default: unchecked.
	Audience []string `json:"audience,omitempty"`

	// ClockSkew is how far the issuer's clock may be off, 10 minutes at
	// most. Default: 30s.
	ClockSkew *caddy.Duration `json:"clock_skew,omitempty"`

	// Cookie names a cookie that may carry the token. The Authorization
	// header comes first. Default: none.
	Cookie string `json:"cookie,omitempty"`

	// Claims maps subject, email, organization and roles to the claims they
	// are read from; a dotted path reaches into objects. Where subject and
	// email are the same claim, subjects are addresses and compared without
	// case (A to Z). Roles may be one
	// text, which is split at blanks where the claim is scope or scp, a list
	// of texts or of objects (name, role, value, authority), or an object whose
	// members are called as the roles; organizations may be a text, a number, a
	// list of these or of objects (id, name), or an object whose members are
	// called as the organizations. Default: sub, email, organization, roles.
	Claims map[string]string `json:"claims,omitempty"`

	// TrustAMR lists values of the token's amr claim (RFC 8176), such as
	// mfa, by which the issuer tells that it has asked for a second factor
	// itself. They open gates, and nothing else. Default: none.
	TrustAMR []string `json:"trust_amr,omitempty"`
}

// keySources are the options that name a source of keys.
var keySources = []string{"jwks_url", "jwks_file", "public_key", "oidc", "hmac_secret", "dev"}

// verifier makes the check that b describes, which also keeps the claims
// keep.
func (b *Bearer) verifier(devIssuerFile string, keep []string, log *zap.Logger) (*bearer.Verifier, error) {
	keys, err := b.keySource(devIssuerFile, log)
	if err != nil {
		return nil, err
	}
	return b.verifierOf(keys, keep)
}

// verifierOf is verifier with the keys given.
func (b *Bearer) verifierOf(keys bearer.KeySource, keep []string) (*bearer.Verifier, error) {
	claims := bearer.Claims{}
	for field, claim := range b.Claims {
		if claim == "" {
			return nil, fmt.Errorf("claim %s: the claim's name is empty", field)
		}
		switch field {
		case "subject":
			claims.Subject = claim
		case "email":
			claims.Email = claim
		case "organization":
			claims.Organization = claim
		case "roles":
			claims.Roles = claim
		default:
			return nil, fmt.Errorf("claim %s: unknown, it must be one of subject, email, organization, roles", field)
		}
	}
	if cookie := (&http.Cookie{Name: b.Cookie, Value: "x"}); b.Cookie != "" && cookie.Valid() != nil {
		return nil, fmt.Errorf("cookie: %q is no name of a cookie", b.Cookie)
	}
	if strings.EqualFold(b.Cookie, api.CookieName) {
		return nil, fmt.Errorf("cookie: %q is where the edge keeps what it has seen of a second factor: name the one that your login sets", b.Cookie)
	}
	skew := defaultClockSkew
	if b.ClockSkew != nil {
		skew = time.Duration(*b.ClockSkew)
	}
	return bearer.New(bearer.Config{
		Keys:     keys,
		Issuer:   b.Issuer,
		Audience: b.Audience,
		Skew:     skew,
		Claims:   claims,
		Keep:     keep,
	})
}

func (b *Bearer) keySource(devIssuerFile string, log *zap.Logger) (bearer.KeySource, error) {
	given := map[string]bool{
		"jwks_url":    b.JWKSURL != "",
		"jwks_file":   b.JWKSFile != "",
		"public_key":  b.PublicKey != "",
		"oidc":        b.OIDC != "",
		"hmac_secret": b.HMACSecret != "",
		"dev":         b.Dev,
	}
	if b.HMACSecretBase64 && b.HMACSecret == "" {
		return nil, errors.New("hmac_secret_base64: there is no hmac_secret that it could say something of: give one, or take it out")
	}
	var found []string
	for _, name := range keySources {
		if given[name] {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("needs exactly one of %s; found: %s", strings.Join(keySources, ", "), orNone(found))
	}
	var (
		keys bearer.KeySource
		err  error
	)
	switch found[0] {
	case "jwks_url":
		keys, err = bearer.JWKSURL(b.JWKSURL, bearer.RemoteOptions{Logger: log})
	case "jwks_file":
		keys, err = bearer.JWKSFile(b.JWKSFile, log)
	case "public_key":
		keys, err = bearer.PublicKeyFile(b.PublicKey, log)
	case "oidc":
		keys, err = bearer.OIDC(b.OIDC, bearer.RemoteOptions{Logger: log})
	case "hmac_secret":
		keys, err = b.hmacKeys()
	case "dev":
		keys = bearer.DevKeys(devIssuerFile, log)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found[0], err)
	}
	return keys, nil
}

func (b *Bearer) hmacKeys() (bearer.KeySource, error) {
	if b.HMACSecretBase64 {
		return bearer.HMACSecretBase64(b.HMACSecret)
	}
	return bearer.HMACSecret([]byte(b.HMACSecret))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
