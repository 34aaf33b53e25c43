package mfa

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// TestTheLargestRecordOfAPersonCanBeStored fills every list of a record to its
// bound with the longest texts that get there. A list that is added without a
// bound, and so without a row here, fails the test.
func TestTheLargestRecordOfAPersonCanBeStored(t *testing.T) {
	// A character that takes six bytes in JSON, as often as claims, headers and
	// names may have it.
	claim, agent, name := strings.Repeat("<", 1024), strings.Repeat("<", 256), strings.Repeat("\u2028", 64)
	id, hash, at := newID(), make([]byte, 37), time.Now()
	key, err := json.Marshal(make([]byte, 1023+2048+16)) // of a passkey: ID, public key, model
	if err != nil {
		t.Fatal(err)
	}
	key = []byte(`["` + strings.Repeat("t", 8*35+256) + `",` + string(key) + `]`) // transports, numbers, names of members
	client := Client{IP: strings.Repeat("f", 64), UserAgent: agent}
	by := begun{Session: id, Epoch: id}
	codes := slices.Repeat([][]byte{hash}, MaxBackupCodes)
	spent := spentChallenge{ID: id, ExpiresAt: at.Unix()}
	address, err := json.Marshal(strings.Repeat("<", 254))
	if err != nil {
		t.Fatal(err)
	}
	u := user{
		Issuer: claim, Subject: claim, Email: claim,
		FormerEmails:  slices.Repeat([]formerEmail{{claim, at}}, maxFormerEmails),
		Organizations: slices.Repeat([]string{claim}, maxOrganizations), MoreOrganizations: true,
		Handle:  make([]byte, handleSize),
		Factors: slices.Repeat([]userFactor{{id, "GOOGLE_AUTH", name, at, at, true, key, credentialPrefix + id + id}}, maxPasskeys+2),
		Primary: "GOOGLE_AUTH", MustEnroll: true,
		Pending:     slices.Repeat([]pendingSetup{{"GOOGLE_AUTH", at, at, client, 4, address, by, codes}}, 3),
		BackupCodes: codes, SpentCodes: codes, CodesOf: id + id, BackupACR: ACRMFA,
		SpentChallenges: spentChallenges{
			Signed: slices.Repeat([]spentChallenge{spent}, maxSigned), Wrong: slices.Repeat([]spentChallenge{spent}, maxWrong), Floor: at.Unix(),
		},
		Links: slices.Repeat([]loginLink{{id, hash, 99, at, at, client, by, id, true, 2}}, userMailLimit.count),
		Epoch: id,
		Sessions: slices.Repeat([]session{{ID: id, AuthTime: at, Method: MethodBackupCode, Factor: id,
			AMR: []string{"hwk", "user", "mfa"}, ACR: ACRMFA, ExpiresAt: at, Generation: 1 << 40, RotatedAt: at, Siblings: maxSiblings, Spent: maxSiblings, HashedBy: 1 << 31}}, maxSessions),
		Mails:        slices.Repeat([]time.Time{at}, userMailLimit.count),
		Notices:      slices.Repeat([]time.Time{at}, noticeLimit.count),
		OtherNotices: slices.Repeat([]time.Time{at}, otherNoticeLimit.count),
	}
	for v, i := reflect.ValueOf(u), 0; i < v.NumField(); i++ {
		if field := v.Field(i); field.Kind() == reflect.Slice && field.Len() == 0 {
			t.Errorf("the list %s has no bound here", v.Type().Field(i).Name)
		}
	}
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	const sealing = 1 << 10
	if len(text) > store.MaxValue-sealing {
		t.Errorf("the record has %d bytes, and a document %d", len(text), store.MaxValue)
	}
	t.Logf("%d bytes", len(text))
}
