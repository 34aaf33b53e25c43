package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pquerna/otp/totp"
)

// assertionCookie is the cookie that carries an assertion.
const assertionCookie = "__Host-mfa"

// person has shown a second factor at a Caddy.
type person struct {
	bearer string // the login's access token
	pair   pair
	cookie string // the assertion in its slim form
}

// pair is what the API answers to a second factor.
type pair struct {
	Assertion string `json:"fullAccessToken"`
	Refresh   string `json:"refreshToken"`
}

// enroll sets an authenticator app up, which is a proof of the second factor
// too. The gate must have been closed before and open after.
func enroll(ctx context.Context, c *caddy, s site, l *login) (*person, error) {
	token, err := l.token()
	if err != nil {
		return nil, err
	}
	p := &person{bearer: token}
	if s == sitePlain {
		return p, nil
	}
	if s == siteGated {
		if err := wantStatus(ctx, c, header{bearer: token}, http.StatusUnauthorized); err != nil {
			return nil, err
		}
	}
	var setup struct {
		Data struct {
			Secret string `json:"secret"`
		} `json:"data"`
	}
	if _, err := c.post(ctx, "/mfa/setup", token, map[string]string{"mfaType": "GOOGLE_AUTH"}, &setup); err != nil {
		return nil, err
	}
	code, err := totp.GenerateCode(setup.Data.Secret, time.Now())
	if err != nil {
		return nil, fmt.Errorf("making code: %w", err)
	}
	p.cookie, err = c.post(ctx, "/mfa/verify-setup", token, map[string]string{"mfaType": "GOOGLE_AUTH", "code": code}, &p.pair)
	if err != nil {
		return nil, err
	}
	if p.pair.Assertion == "" || p.pair.Refresh == "" || p.cookie == "" {
		return nil, errors.New("enrolling: the answer has no pair or no cookie")
	}
	for _, h := range []header{{bearer: p.pair.Assertion}, {bearer: token, cookie: p.cookie}} {
		if err := wantStatus(ctx, c, h, http.StatusOK); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func wantStatus(ctx context.Context, c *caddy, h header, want int) error {
	status, err := c.get(ctx, guardedPath, h.set)
	if err == nil && status != want {
		err = fmt.Errorf("the gate answers %d, not %d: what would be measured is not a gate", status, want)
	}
	return err
}

// another gets a new pair around bearer, without the person.
func (p *person) another(ctx context.Context, c *caddy, bearer string) (assertion string, err error) {
	var next pair
	if _, err := c.post(ctx, "/mfa/refresh", bearer, map[string]string{"refreshToken": p.pair.Refresh}, &next); err != nil {
		return "", err
	}
	p.pair = next
	return next.Assertion, nil
}
