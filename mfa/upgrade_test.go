package mfa

import (
	"encoding/json"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// TestCodesOfOlderRecordsGetALevel reads records as versions wrote them that
// recorded no level.
func TestCodesOfOlderRecordsGetALevel(t *testing.T) {
	mail := userFactor{ID: "m", Type: factor.TypeMagicLink}
	app := userFactor{ID: "a", Type: factor.TypeTOTP}
	off := app
	off.Disabled = true
	passkey := userFactor{ID: "p", Type: factor.TypePasskey}
	byCode := []session{{ID: "s", Method: MethodBackupCode, ACR: ACRMFA}, {ID: "o", Method: "GOOGLE_AUTH", ACR: ACRMFA}}
	code := [][]byte{{1}}
	for name, row := range map[string]struct {
		record user
		codes  string
		byCode string // the level of a session that a code opened
	}{
		"no codes":              {user{Factors: []userFactor{mail}, Sessions: byCode}, "", ACRMFA},
		"mail":                  {user{Factors: []userFactor{mail}, BackupCodes: code, Sessions: byCode}, ACRMail, ACRMail},
		"mail, all codes spent": {user{Factors: []userFactor{mail}, SpentCodes: code, Sessions: byCode}, ACRMail, ACRMail},
		"mail, app disabled":    {user{Factors: []userFactor{mail, off}, BackupCodes: code, Sessions: byCode}, ACRMail, ACRMail},
		"app":                   {user{Factors: []userFactor{app}, BackupCodes: code, Sessions: byCode}, ACRMFA, ACRMFA},
		"mail and app":          {user{Factors: []userFactor{mail, app}, BackupCodes: code, Sessions: byCode}, ACRMFA, ACRMFA},
		"passkey":               {user{Factors: []userFactor{passkey}, BackupCodes: code, Sessions: byCode}, ACRMFA, ACRMFA},
		"of this version":       {user{Factors: []userFactor{app}, BackupCodes: code, BackupACR: ACRMail, Sessions: byCode}, ACRMail, ACRMFA},
	} {
		t.Run(name, func(t *testing.T) {
			stored, err := json.Marshal(row.record)
			if err != nil {
				t.Fatal(err)
			}
			u := &user{}
			if err := json.Unmarshal(stored, u); err != nil {
				t.Fatal(err)
			}
			u.upgrade()
			if u.BackupACR != row.codes || u.Sessions[0].ACR != row.byCode || u.Sessions[1].ACR != ACRMFA {
				t.Errorf("codes of level %q, sessions %+v", u.BackupACR, u.Sessions)
			}
		})
	}
}

// TestCodesOfAnOlderRecordKeepTheLevelOfItsFirstReading sees that a factor
// that comes later does not raise it.
func TestCodesOfAnOlderRecordKeepTheLevelOfItsFirstReading(t *testing.T) {
	u := &user{Factors: []userFactor{{ID: "m", Type: factor.TypeMagicLink}}, BackupCodes: [][]byte{{1}}}
	u.upgrade()
	if err := u.addFactor(userFactor{ID: "a", Type: factor.TypeTOTP}); err != nil {
		t.Fatal(err)
	}
	u.upgrade()
	if got := u.backupEvidence().acr; got != ACRMail {
		t.Errorf("a code is of level %s", got)
	}
}
