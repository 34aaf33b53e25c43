package caddymodule

import (
	"strings"
	"testing"
)

func TestNoMessageTellsAPasswordThatNamesAStore(t *testing.T) {
	for name, title := range map[string]string{
		"postgres://mfa:hunter2@db/mfa":                             "the store of --to",
		`{"engine":"nosuch","dsn":"postgres://mfa:hunter2@db/mfa"}`: "the store of --to",
		`{"engine":"bolt","dsn":"postgres://mfa:hunter2@db/mfa"}`:   "the store of --to",
		`{"engine":"bolt","path":"postgres://mfa:hunter2@db/mfa",}`: "the store of --to",
		"host=db user=mfa password=hunter2":                         "the store of --to",
		"none.Caddyfile":                                            "none.Caddyfile",
	} {
		_, err := openNamed(t.Context(), "--to", name, "", func(*namedStore) error { return nil })
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
		if got := (&namedStore{flag: "--to", name: name}).title(); got != title {
			t.Errorf("%s is called %q", name, got)
		}
	}
}
