package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"golang.org/x/term"
)

// errNotConfirmed is returned when the question was not answered with yes.
var errNotConfirmed = errors.New("nothing was changed")

// confirm asks before what cannot be undone. Without a terminal to ask on,
// --yes must have been given.
func confirm(flags caddycmd.Flags, question string) error {
	if flags.Bool("yes") {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("nobody can be asked here whether to go on: say so with --yes")
	}
	fmt.Fprint(os.Stderr, question+" [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}
