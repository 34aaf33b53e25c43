package bearer

import (
	"slices"
	"time"
)

// accept holds a correctly signed token against the clock and against
// the configured issuer and audience.
func (v *Verifier) accept(claims object, identity Identity) error {
	if v.issuer != "" && identity.Issuer != v.issuer {
		return invalid("the token is from another issuer")
	}
	if len(v.audience) > 0 && !slices.ContainsFunc(identity.Audience, func(audience string) bool {
		return slices.Contains(v.audience, audience)
	}) {
		return invalid("the token is for another audience")
	}
	now := v.now()
	if identity.Expiry.IsZero() {
		return invalid("the token has no exp claim")
	}
	if !now.Before(v.end(identity)) {
		return invalid("the token has expired")
	}
	notBefore, err := timeClaim(claims, "nbf")
	if err != nil {
		return err
	}
	latest := now.Add(v.skew)
	for _, moment := range []struct {
		when   time.Time
		reason string
	}{
		{notBefore, "the token is not valid yet"},
		{identity.IssuedAt, "the iat claim lies in the future"},
		{identity.AuthTime, "the auth_time claim lies in the future"},
	} {
		if moment.when.After(latest) {
			return invalid(moment.reason)
		}
	}
	return nil
}

// end is the instant from which on a token is refused: RFC 7519 section
// 4.1.4 has it not accepted on or after exp.
func (v *Verifier) end(identity Identity) time.Time {
	return identity.Expiry.Add(v.skew)
}
