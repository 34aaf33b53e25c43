package passkey

import (
	"encoding/json"
	"fmt"
)

// Details is what a confirmed passkey tells of itself.
type Details struct {
	// Synced says that the passkey can be backed up, and so may be on
	// several devices of its owner.
	Synced bool
	// Transports are the client's hints at how the authenticator is
	// reached, such as "usb" and "internal".
	Transports []string
	// AAGUID is the authenticator's model in the form of a UUID; it is all
	// zeros when the authenticator keeps that to itself.
	AAGUID string
}

// Describe returns the details of the confirmed passkey that state is of.
func Describe(state json.RawMessage) (Details, error) {
	kept, err := readRecord(state)
	if err != nil {
		return Details{}, err
	}
	id := kept.AAGUID
	if len(id) != 16 {
		return Details{}, fmt.Errorf("reading stored passkey: the AAGUID has %d bytes instead of 16", len(id))
	}
	details := Details{
		Synced: kept.BackupEligible,
		AAGUID: fmt.Sprintf("%x-%x-%x-%x-%x", []byte(id[:4]), []byte(id[4:6]), []byte(id[6:8]), []byte(id[8:10]), []byte(id[10:])),
	}
	for _, transport := range kept.Transports {
		details.Transports = append(details.Transports, string(transport))
	}
	return details, nil
}
