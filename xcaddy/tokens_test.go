package main_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"
)

// unsignedToken makes a token of the algorithm none.
func unsignedToken(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "."
}

// claims returns those of a token for subject that is valid for minutes,
// with changes; nil takes a claim out.
func claims(subject string, changes map[string]any) map[string]any {
	all := map[string]any{
		"sub": subject,
		"iat": time.Now().Unix(),
		"exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	for name, value := range changes {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	return all
}
