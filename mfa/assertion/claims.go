package assertion

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Claims is what an assertion says, beside its issuer, which is the Codec's.
// Times are whole seconds.
type Claims struct {
	// Subject is the person's sub. It is required.
	Subject string
	// IDP is the issuer of the access token, "" when that names none.
	IDP      string
	Audience []string
	// AMR is how the person proved themselves, in the terms of RFC 8176.
	AMR []string
	// ACR is the level that the factor reaches.
	ACR string
	// Methods is what the API calls the factor.
	Methods []string
	// AuthTime is when the factor was shown. It, IssuedAt and Expiry are
	// required.
	AuthTime time.Time
	IssuedAt time.Time
	// Expiry is the first second in which the assertion is no good.
	Expiry time.Time
	// ID is the jti. Sign draws one where it is "".
	ID string
	// Session names the session that the assertion stands and falls with.
	// It is required.
	Session string
	// Bearer is the access token that the assertion stands for, "" in the
	// slim form that a cookie holds.
	Bearer string
}

// payload is Claims as they stand in the token.
type payload struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	IDP      string   `json:"idp,omitempty"`
	Audience audience `json:"aud,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	Methods  []string `json:"mfa_methods,omitempty"`
	AuthTime int64    `json:"auth_time"`
	IssuedAt int64    `json:"iat"`
	Expiry   int64    `json:"exp"`
	ID       string   `json:"jti"`
	Session  string   `json:"sid"`
	Bearer   string   `json:"bearer,omitempty"` // sealed, as base64url
}

func newPayload(issuer string, claims Claims) payload {
	return payload{
		Issuer: issuer, Subject: claims.Subject, IDP: claims.IDP, Audience: claims.Audience,
		AMR: claims.AMR, ACR: claims.ACR, Methods: claims.Methods,
		AuthTime: claims.AuthTime.Unix(), IssuedAt: claims.IssuedAt.Unix(), Expiry: claims.Expiry.Unix(),
		ID: claims.ID, Session: claims.Session,
	}
}

// claims returns what the payload says, all but the access token.
func (p *payload) claims() Claims {
	return Claims{
		Subject: p.Subject, IDP: p.IDP, Audience: p.Audience, AMR: p.AMR, ACR: p.ACR, Methods: p.Methods,
		AuthTime: moment(p.AuthTime), IssuedAt: moment(p.IssuedAt), Expiry: moment(p.Expiry),
		ID: p.ID, Session: p.Session,
	}
}

func moment(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// whole reports whether nothing is missing that an assertion must say.
func (p *payload) whole() bool {
	return p.Subject != "" && p.Session != "" && p.ID != "" && p.AuthTime > 0 && p.IssuedAt > 0 && p.Expiry > 0
}

// utf8 reports whether the names in the payload survive JSON, which puts one
// and the same character for every invalid byte: two subjects would become
// one.
func (p *payload) utf8() bool {
	return utf8.ValidString(p.Subject) && utf8.ValidString(p.IDP) && utf8.ValidString(p.ID) && utf8.ValidString(p.Session)
}

// audience is written as one string where there is one (RFC 7519 section
// 4.1.3).
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(data, &(*a)[0])
	}
	return json.Unmarshal(data, (*[]string)(a))
}
