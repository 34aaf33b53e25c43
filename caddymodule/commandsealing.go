package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/caddymfa/caddy-mfa/mfa/legible"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// sealingResult is what `keys rotate --sealing` prints as JSON.
type sealingResult struct {
	Key       seal.KeyID  `json:"key"`
	InUse     bool        `json:"in_use"`
	Nodes     []adminNode `json:"nodes,omitempty"`
	Documents int         `json:"documents"`
	Resealed  int         `json:"resealed"`
}

// rotateSealing takes a sealing key through all its steps, or as far as the
// other nodes let it.
func rotateSealing(flags caddycmd.Flags) (int, error) {
	rotation, err := stageKey(flags)
	if err != nil {
		return 1, err
	}
	result := sealingResult{Key: rotation.Key, InUse: rotation.InUse, Nodes: rotation.Nodes}
	if missing := rotation.missing(); len(missing) > 0 {
		if flags.Bool("json") {
			_, err = printJSON(result)
		} else {
			_, err = rotation.print()
		}
		return 1, errors.Join(err, fmt.Errorf("not every node has the new key: copy this node's key file to %s, "+
			"which take it over by themselves, and run the command again", strings.Join(missing, ", ")))
	}
	if !rotation.InUse {
		if err := adminJSON(flags, http.MethodPost, "/mfa/keys/promote", nil); err != nil {
			return 1, err
		}
		result.InUse = true
	}
	if err := resealAll(flags, &result); err != nil {
		return 1, fmt.Errorf("%w; key %s is in use: run the command again to seal the rest anew", err, result.Key)
	}
	if flags.Bool("json") {
		return printJSON(result)
	}
	fmt.Printf("key %s is in use; of %d documents %d were sealed anew\n", result.Key, result.Documents, result.Resealed)
	fmt.Println("Back up the key file. Older keys stay in it until `caddy mfa keys retire`.")
	return 0, nil
}

func (r adminRotation) missing() []string {
	var names []string
	for _, n := range r.Nodes {
		if !n.HasKey {
			names = append(names, legible.Text(n.Node))
		}
	}
	return names
}

// stageKey begins the rotation, and waits for the nodes to tell whether they
// have the new key.
func stageKey(flags caddycmd.Flags) (adminRotation, error) {
	progress := newCount("waiting for the nodes")
	defer func() { _ = progress.Finish() }()
	for {
		var rotation adminRotation
		err := adminJSON(flags, http.MethodPost, "/mfa/keys/stage", &rotation)
		if err != nil || rotation.InUse || rotation.WaitSeconds <= 0 {
			return rotation, err
		}
		_ = progress.Add(1)
		time.Sleep(min(time.Second, time.Duration(rotation.WaitSeconds*float64(time.Second))+time.Millisecond))
	}
}

// resealAll has the server seal everything anew.
func resealAll(flags caddycmd.Flags, result *sealingResult) error {
	progress := newCount("sealing documents anew")
	defer func() { _ = progress.Finish() }()
	for cursor := ""; ; {
		var page adminResealed
		if err := adminJSON(flags, http.MethodPost, "/mfa/keys/reseal?"+url.Values{"limit": {"500"}, "cursor": {cursor}}.Encode(), &page); err != nil {
			return err
		}
		_ = progress.Add(page.Seen)
		result.Documents += page.Seen
		result.Resealed += page.Resealed
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// newCount shows on a terminal how many of something are done, where nobody
// knows how many there are.
func newCount(what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(-1,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))),
	)
}
