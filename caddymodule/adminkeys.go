package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// adminSigningKey is a key for assertions in the admin API.
type adminSigningKey struct {
	ID    string     `json:"id"`
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until,omitempty"`
	Signs bool       `json:"signs"`
}

// adminSealingKey is a key of the key file, or one that it lacks.
type adminSealingKey struct {
	ID          seal.KeyID `json:"id"`
	Kind        string     `json:"kind"` // sealing or hashing
	InUse       bool       `json:"in_use"`
	InFile      bool       `json:"in_file"`
	Documents   int        `json:"documents"`
	BackupCodes int        `json:"backup_codes"` // people who hold some
	Sessions    int        `json:"sessions"`
	TokensUntil *time.Time `json:"tokens_until,omitempty"`
}

type adminRotation struct {
	Key         seal.KeyID  `json:"key"`
	InUse       bool        `json:"in_use"`
	Nodes       []adminNode `json:"nodes,omitempty"`
	WaitSeconds float64     `json:"wait_seconds,omitempty"`
}

type adminNode struct {
	Node   string `json:"node"`
	HasKey bool   `json:"has_key"`
}

type adminKeyList struct {
	Signing  []adminSigningKey `json:"signing"`
	Sealing  []adminSealingKey `json:"sealing"`
	Since    *time.Time        `json:"sealing_since,omitempty"`
	Rotation *adminRotation    `json:"rotation,omitempty"`
}

type adminResealed struct {
	Next     string `json:"next,omitempty"`
	Seen     int    `json:"seen"`
	Resealed int    `json:"resealed"`
}

type adminRetired struct {
	Removed []adminSealingKey `json:"removed"`
	Kept    []adminSealingKey `json:"kept"`
}

// given returns a time that is not zero.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func toAdminKeys(keys []mfa.KeyUse) []adminSealingKey {
	list := make([]adminSealingKey, len(keys))
	for i, k := range keys {
		list[i] = adminSealingKey{
			ID: k.ID, Kind: "sealing", InUse: k.InUse, InFile: k.Held, Documents: k.Documents,
			BackupCodes: k.People, Sessions: k.Sessions, TokensUntil: given(k.TokensUntil),
		}
		if k.Hashing {
			list[i].Kind = "hashing"
		}
	}
	return list
}

func toAdminRotation(r mfa.Rotation) *adminRotation {
	rotation := &adminRotation{Key: r.Pair.Sealing, InUse: r.InUse, WaitSeconds: r.Wait.Seconds()}
	for _, n := range r.Nodes {
		rotation.Nodes = append(rotation.Nodes, adminNode{Node: n.Node, HasKey: n.Has})
	}
	return rotation
}

// adminKeys lists all keys, and what needs those of the key file.
func (in *instance) adminKeys(w http.ResponseWriter, r *http.Request) error {
	takeTime(w)
	signing, err := in.service.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	report, err := in.keyFile.Report(r.Context())
	if err != nil {
		return err
	}
	list := adminKeyList{Signing: []adminSigningKey{}, Sealing: toAdminKeys(report.Keys), Since: given(report.Since)}
	for _, k := range signing {
		list.Signing = append(list.Signing, adminSigningKey{ID: k.ID, From: k.From, Until: given(k.Until), Signs: k.Signs})
	}
	if report.Rotation != nil {
		list.Rotation = toAdminRotation(*report.Rotation)
	}
	return writeAdmin(w, list)
}

// adminRotate makes a new key for assertions; with revoke=true the ones
// before count no more.
func (in *instance) adminRotate(_ http.ResponseWriter, r *http.Request) error {
	return in.service.RotateSigningKey(r.Context(), r.URL.Query().Get("revoke") == "true")
}

// adminStage adds a new sealing key to the key file, and tells which nodes
// have it.
func (in *instance) adminStage(w http.ResponseWriter, r *http.Request) error {
	takeTime(w)
	rotation, err := in.keyFile.Stage(r.Context())
	if err != nil {
		return in.adviseOnFile(err, "add a key to it yourself, with `caddy mfa keys add %s` or to a copy that you then put in its place, and run the command again")
	}
	return writeAdmin(w, toAdminRotation(rotation))
}

// adviseOnFile adds what to do, with the file's path in it, where the server
// may not write its key file.
func (in *instance) adviseOnFile(err error, advice string) error {
	for _, cause := range []error{
		fs.ErrPermission,
		syscall.EROFS,
		syscall.EBUSY, // a file that is mounted by itself cannot be replaced
	} {
		if errors.Is(err, cause) {
			return adminError(http.StatusConflict, fmt.Errorf("the server may not write %s (%w): "+advice, in.app.KeyFile, err, in.app.KeyFile))
		}
	}
	return err
}

// adminPromote takes the staged key into use.
func (in *instance) adminPromote(w http.ResponseWriter, r *http.Request) error {
	pair, err := in.keyFile.Promote(r.Context())
	if err != nil {
		return err
	}
	return writeAdmin(w, adminRotation{Key: pair.Sealing, InUse: true})
}

// adminReseal seals documents anew, a page at a time.
func (in *instance) adminReseal(w http.ResponseWriter, r *http.Request) error {
	takeTime(w)
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	resealed, err := in.keyFile.Reseal(r.Context(), r.URL.Query().Get("cursor"), limit)
	if errors.Is(err, store.ErrTooLarge) {
		return adminError(http.StatusBadRequest, errors.New("cursor is not one that a page before gave"))
	}
	if err != nil {
		return err
	}
	return writeAdmin(w, adminResealed(resealed))
}

// adminRetire removes older keys from the key file; with all=true also those
// that codes and tokens need.
func (in *instance) adminRetire(w http.ResponseWriter, r *http.Request) error {
	takeTime(w)
	retired, err := in.keyFile.Retire(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		return in.adviseOnFile(err, "take the keys out of it yourself, with `caddy mfa keys remove %s <id...>` or out of a copy that you then put in its place")
	}
	return writeAdmin(w, adminRetired{Removed: toAdminKeys(retired.Removed), Kept: toAdminKeys(retired.Kept)})
}
