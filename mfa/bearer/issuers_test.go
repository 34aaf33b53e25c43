package bearer_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// Each case is an access or ID token in the shape that a login documents,
// with made-up values, and the options that its operator sets.
func TestTokensOfKnownLoginsAreRead(t *testing.T) {
	c := newClock()
	now := c.Now().Unix()
	iso := c.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	for _, test := range []struct {
		login   string
		header  object
		claims  object
		options bearer.Config
		want    bearer.Identity
	}{
		{"Microsoft Entra ID, v2.0", object{"alg": "RS256", "typ": "JWT", "kid": "entra"}, object{
			"aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "iss": "https://login.microsoftonline.com/72f988bf/v2.0",
			"iat": now, "nbf": now, "exp": now + 4000, "aio": "AXQAi/8IAAAA", "azp": "6e74172b", "azpacr": "1", "name": "Alice A",
			"oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "alice@example.com", "rh": "I", "roles": []string{"OWNER"},
			"scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": "72f988bf", "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
		}, bearer.Config{Claims: bearer.Claims{Subject: "oid", Email: "preferred_username", Organization: "tid"}}, bearer.Identity{
			Subject: "690222be-ff1a-4d56-abd1-7e4f7d38e474", Email: "alice@example.com", Organizations: []string{"72f988bf"}, Roles: []string{"OWNER"},
		}},
		{"Microsoft Entra ID, v1.0", object{"alg": "RS256", "typ": "JWT", "kid": "entra", "x5t": "entra"}, object{
			"aud": "api://edge", "iss": "https://sts.windows.net/72f988bf/", "iat": now, "nbf": now, "exp": now + 4000, "acr": "1",
			"amr": []string{"pwd", "mfa"}, "appid": "75dbe77f", "appidacr": "0", "ipaddr": "192.0.2.1", "oid": "690222be", "scp": "user_impersonation",
			"sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA", "tid": "72f988bf", "unique_name": "alice@example.com", "upn": "alice@example.com", "ver": "1.0",
			"groups": []string{"0760b6cf", "f6e2c3d4"},
		}, bearer.Config{Claims: bearer.Claims{Email: "upn", Organization: "tid", Roles: "groups"}}, bearer.Identity{
			Subject: "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA", Email: "alice@example.com", Organizations: []string{"72f988bf"},
			Roles: []string{"0760b6cf", "f6e2c3d4"}, AMR: []string{"pwd", "mfa"},
		}},
		{"ADFS", object{"alg": "RS256", "typ": "JWT", "kid": "adfs", "x5t": "adfs"}, object{
			"aud": "microsoft:identityserver:edge", "iss": "http://adfs.example.com/adfs/services/trust", "iat": now, "nbf": now, "exp": now + 3600,
			"apptype": "Public", "appid": "edge", "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
			"auth_time": iso, "ver": "1.0", "scp": "openid", "upn": "Alice@example.com", "group": "OWNER",
		}, bearer.Config{Claims: bearer.Claims{Subject: "upn", Email: "upn", Roles: "group"}}, bearer.Identity{
			Subject: "alice@example.com", Claimed: "Alice@example.com", Email: "Alice@example.com", Roles: []string{"OWNER"}, AuthTime: c.Now(),
		}},
		{"Auth0", object{"alg": "RS256", "typ": "at+jwt", "kid": "auth0"}, object{
			"iss": "https://example.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": []string{"https://api.example.com", "https://example.eu.auth0.com/userinfo"},
			"iat": now, "exp": now + 86400, "azp": "my_client_id", "scope": "openid profile", "org_id": "org_9ybsU1dN2dKfDkBi",
			"permissions": []string{"OWNER"}, "https://example.com/email": "alice@example.com",
		}, bearer.Config{Audience: []string{"https://api.example.com"}, Claims: bearer.Claims{Email: "https://example.com/email", Organization: "org_id", Roles: "permissions"}}, bearer.Identity{
			Subject: "auth0|5f7c8ec7c33c6c004bbafe82", Email: "alice@example.com", Organizations: []string{"org_9ybsU1dN2dKfDkBi"}, Roles: []string{"OWNER"},
		}},
		{"Okta", object{"alg": "RS256", "typ": "application/okta-internal-at+jwt", "kid": "okta"}, object{
			"ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default",
			"iat": now, "exp": now + 3600, "cid": "nmdP1fcyvdVO11AL7ECm", "uid": "00ugmh9NSDlrqZ8Ga0g3", "scp": []string{"openid"}, "auth_time": now - 60,
			"sub": "alice@example.com", "groups": []string{"Everyone", "OWNER"},
		}, bearer.Config{Claims: bearer.Claims{Subject: "uid", Email: "sub", Roles: "groups"}}, bearer.Identity{
			Subject: "00ugmh9NSDlrqZ8Ga0g3", Email: "alice@example.com", Roles: []string{"Everyone", "OWNER"}, AuthTime: c.Now().Add(-time.Minute),
		}},
		{"Keycloak", object{"alg": "RS256", "typ": "JWT", "kid": "keycloak"}, object{
			"exp": now + 300, "iat": now, "auth_time": now, "jti": "onrtac:7b2a", "iss": "https://login.example.com/realms/acme", "aud": "account",
			"sub": "f:1c2a:alice", "typ": "Bearer", "azp": "edge", "sid": "8f", "acr": "1", "realm_access": object{"roles": []string{"offline_access", "OWNER"}},
			"resource_access": object{"account": object{"roles": []string{"view-profile"}}}, "scope": "openid email", "email_verified": true,
			"organization": object{"acme": object{"id": "42c3"}, "other": object{}}, "preferred_username": "alice", "email": "alice@example.com",
		}, bearer.Config{Claims: bearer.Claims{Roles: "realm_access.roles"}}, bearer.Identity{
			Subject: "f:1c2a:alice", Email: "alice@example.com", Organizations: []string{"acme", "other"}, Roles: []string{"offline_access", "OWNER"}, AuthTime: c.Now(),
		}},
		{"ZITADEL", object{"alg": "RS256", "typ": "at+jwt", "kid": "zitadel"}, object{
			"iss": "https://acme.zitadel.cloud", "aud": []string{"edge@acme", "170086305000001"}, "exp": now + 43200, "iat": now, "nbf": now, "jti": "V1_1",
			"sub": "165460784409737834", "client_id": "edge@acme", "amr": []string{"pwd", "otp", "mfa"}, "auth_time": now,
			"urn:zitadel:iam:user:resourceowner:id": "165460784409737000",
			"urn:zitadel:iam:org:project:roles":     object{"OWNER": object{"165460784409737000": "acme.zitadel.cloud"}, "reader": object{"1": "b"}},
		}, bearer.Config{Claims: bearer.Claims{Organization: "urn:zitadel:iam:user:resourceowner:id", Roles: "urn:zitadel:iam:org:project:roles"}}, bearer.Identity{
			Subject: "165460784409737834", Organizations: []string{"165460784409737000"}, Roles: []string{"OWNER", "reader"}, AMR: []string{"pwd", "otp", "mfa"}, AuthTime: c.Now(),
		}},
		{"Supabase", object{"alg": "HS256", "typ": "JWT", "kid": "supabase"}, object{
			"aal": "aal2", "amr": []object{{"method": "totp", "timestamp": now - 30}, {"method": "password", "timestamp": now - 90}},
			"app_metadata": object{"provider": "email", "providers": []string{"email"}}, "aud": "authenticated", "email": "alice@example.com",
			"exp": now + 3600, "iat": now, "is_anonymous": false, "iss": "https://abcd.supabase.co/auth/v1", "phone": "", "role": "authenticated",
			"session_id": "5a4b", "sub": "7a3c9f0e-0000-4000-8000-000000000001", "user_metadata": object{},
		}, bearer.Config{Claims: bearer.Claims{Roles: "role"}}, bearer.Identity{
			Subject: "7a3c9f0e-0000-4000-8000-000000000001", Email: "alice@example.com", Roles: []string{"authenticated"},
			AMR: []string{"totp", "password"}, AuthTime: c.Now().Add(-30 * time.Second),
		}},
		{"Firebase", object{"alg": "RS256", "typ": "JWT", "kid": "firebase"}, object{
			"name": "Alice A", "iss": "https://securetoken.google.com/acme", "aud": "acme", "auth_time": now, "user_id": "wS8h0EAqQ", "sub": "wS8h0EAqQ",
			"iat": now, "exp": now + 3600, "email": "alice@example.com", "email_verified": true,
			"firebase": object{"identities": object{"email": []string{"alice@example.com"}}, "sign_in_provider": "password", "tenant": "acme-x1", "sign_in_second_factor": "totp"},
		}, bearer.Config{Audience: []string{"acme"}, Claims: bearer.Claims{Organization: "firebase.tenant"}}, bearer.Identity{
			Subject: "wS8h0EAqQ", Email: "alice@example.com", Organizations: []string{"acme-x1"}, AuthTime: c.Now(),
		}},
		{"Amazon Cognito", object{"alg": "RS256", "kid": "cognito"}, object{
			"sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": []string{"OWNER"}, "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_ab",
			"version": 2, "client_id": "1example23456789", "origin_jti": "e", "event_id": "f", "token_use": "access", "scope": "openid", "auth_time": now,
			"exp": now + 3600, "iat": now, "jti": "a", "username": "alice",
		}, bearer.Config{Claims: bearer.Claims{Roles: "cognito:groups"}}, bearer.Identity{
			Subject: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", Roles: []string{"OWNER"}, AuthTime: c.Now(),
		}},
		{"Google", object{"alg": "RS256", "kid": "google", "typ": "JWT"}, object{
			"iss": "https://accounts.google.com", "azp": "1234987819200.apps.googleusercontent.com", "aud": "1234987819200.apps.googleusercontent.com",
			"sub": "10769150350006150715113082367", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "example.com", "email": "alice@example.com", "email_verified": true,
			"iat": now, "exp": now + 3600, "nonce": "0394852-3190485-2490358",
		}, bearer.Config{Claims: bearer.Claims{Organization: "hd"}}, bearer.Identity{
			Subject: "10769150350006150715113082367", Email: "alice@example.com", Organizations: []string{"example.com"},
		}},
		{"Spring Authorization Server", object{"alg": "RS256", "kid": "spring"}, object{
			"sub": "alice", "aud": "edge", "nbf": now, "scope": []string{"openid", "OWNER"}, "iss": "http://localhost:9000", "exp": now + 300, "iat": now, "jti": "4",
			"authorities": []object{{"authority": "OWNER"}, {"authority": "ROLE_USER"}},
		}, bearer.Config{Claims: bearer.Claims{Roles: "authorities"}}, bearer.Identity{Subject: "alice", Roles: []string{"OWNER", "ROLE_USER"}}},
	} {
		t.Run(test.login, func(t *testing.T) {
			key := any(rsaKey())
			if test.header["alg"] == "HS256" {
				key = secret
			}
			config := test.options
			config.Issuer = test.claims["iss"].(string)
			config.Keys = fileKeys(t, jwkOf(key, object{"kid": test.header["kid"]}))
			got := wantIdentity(t, newVerifier(t, config, c), sign(test.header, test.claims, key))
			slices.Sort(got.Organizations)
			slices.Sort(test.want.Organizations)
			for what, pair := range map[string][2]any{
				"issuer":        {got.Issuer, test.claims["iss"]},
				"subject":       {got.Subject, test.want.Subject},
				"claimed":       {got.Claimed, test.want.Claimed},
				"email":         {got.Email, test.want.Email},
				"organizations": {got.Organizations, test.want.Organizations},
				"roles":         {got.Roles, test.want.Roles},
				"amr":           {got.AMR, test.want.AMR},
				"auth_time":     {got.AuthTime.Unix(), test.want.AuthTime.Unix()},
				"expiry":        {got.Expiry.Unix(), test.claims["exp"]},
			} {
				if fmt.Sprint(pair[0]) != fmt.Sprint(pair[1]) {
					t.Errorf("%s is %v, want %v", what, pair[0], pair[1])
				}
			}
		})
	}
}
