package passkey

import (
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	// maxName is the longest name of a passkey or relying party, in runes.
	maxName = 64

	// defaultName names a passkey of which the client says nothing.
	defaultName = "Passkey"
)

// passkeyName makes the name of a passkey from what the client says of
// its device: the name, else the browser and the system, else the type.
func passkeyName(device factor.Device) string {
	browser, os := factor.DisplayText(device.Browser, maxName), factor.DisplayText(device.OS, maxName)
	described := browser
	switch {
	case described == "":
		described = os
	case os != "":
		described += " on " + os
	}
	for _, candidate := range []string{device.Name, described, device.DeviceType, device.Type} {
		if name := factor.DisplayText(candidate, maxName); name != "" {
			return name
		}
	}
	return defaultName
}
