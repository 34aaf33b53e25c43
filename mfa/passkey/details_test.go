package passkey

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestAPasskeyIsDescribedByWhatItSaidAtSetup(t *testing.T) {
	kind := newKind(t, nil)
	for _, synced := range []bool{false, true} {
		offer, enrolment := begin(t, kind, account, factor.Request{})
		answer := honest(enrolment, es256(t))
		answer.aaguid = []byte{0xee, 0x88, 0x28, 0x79, 0x72, 0x1c, 0x49, 0x13, 0x97, 0x75, 0x3d, 0xfc, 0xce, 0x97, 0x07, 0x2a}
		if synced {
			answer.flags |= flagBE
		}
		got, err := kind.Confirm(account, offer.State, answer.proof(t), now)
		if err != nil {
			t.Fatal(err)
		}
		details, err := Describe(got.State)
		if err != nil {
			t.Fatal(err)
		}
		if details.Synced != synced || details.AAGUID != "ee882879-721c-4913-9775-3dfcce97072a" ||
			!slices.Equal(details.Transports, []string{"internal", "hybrid"}) {
			t.Errorf("described as %+v, want synced %v", details, synced)
		}
	}
}

func TestWhatIsNoPasskeyIsNotDescribed(t *testing.T) {
	for _, state := range []string{"", "null", "{}", "[]", `{"id":"AQ"}`, `{"id":"AQ","aaguid":"AQ"}`} {
		if details, err := Describe(json.RawMessage(state)); err == nil {
			t.Errorf("%s: described as %+v", state, details)
		}
	}
}
