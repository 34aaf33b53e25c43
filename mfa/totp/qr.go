package totp

import (
	"encoding/base64"
	"fmt"

	"rsc.io/qr"
)

// moduleSize is the side of one module in pixels. Four make an image of
// about 230 pixels for a usual account; eight would take twice the time
// for no better reading.
const moduleSize = 4

// qrDataURL returns a data URL of a PNG image that shows text as a QR
// code, correction level M, with the quiet zone that readers need.
func qrDataURL(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("drawing QR code: %w", err)
	}
	code.Scale = moduleSize
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()), nil
}
