package totp

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// imageOf returns the PNG inside a data URL.
func imageOf(t *testing.T, dataURL string) []byte {
	t.Helper()
	encoded, ok := strings.CutPrefix(dataURL, "data:image/png;base64,")
	if !ok {
		t.Fatalf("not a data URL of a PNG: %.40s", dataURL)
	}
	image, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestTheQRCodeIsASquarePNG(t *testing.T) {
	_, setup := begin(t, newKind(t, 1), factor.Account{Name: "alice@example.com"}, factor.Request{})
	decoded, err := png.Decode(bytes.NewReader(imageOf(t, setup.QRCode)))
	if err != nil {
		t.Fatal(err)
	}
	if size := decoded.Bounds().Size(); size.X != size.Y || size.X < 150 {
		t.Errorf("the image measures %v", size)
	}
}

func TestAReaderDecodesTheQRCodeToTheURI(t *testing.T) {
	zbarimg := testtool.Need(t, "zbarimg")
	// Between the shortest and the longest label lie all the sizes that
	// a code can take.
	labels := []string{"a", "例え@例.test", strings.Repeat("🔐", 64)}
	for length := 10; length <= 200; length += 10 {
		labels = append(labels, strings.Repeat("a", length))
	}
	for _, issuer := range []string{"A", strings.Repeat("ä", 32)} {
		kind, err := New(Config{Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		for _, label := range labels {
			_, setup := begin(t, kind, factor.Account{Name: label}, factor.Request{})
			path := filepath.Join(t.TempDir(), "qr.png")
			if err := os.WriteFile(path, imageOf(t, setup.QRCode), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(zbarimg, "--quiet", "--raw", path).Output()
			if err != nil {
				t.Errorf("%d characters: running zbarimg: %v", len(setup.URL), err)
				continue
			}
			if got := strings.TrimSuffix(string(out), "\n"); got != setup.URL {
				t.Errorf("%d characters: read %q, want %q", len(setup.URL), got, setup.URL)
			}
		}
	}
}
