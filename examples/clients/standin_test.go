package clients_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// standInToken is the one access token that the stand-in takes.
const standInToken = "stand.in.token"

func TestEveryClientWorksWithTheStandIn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(standIn))
	defer server.Close()
	runAll(t, server.URL, standInToken)
}

func TestCarelessRequestsAreRefusedByTheStandIn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(standIn))
	defer server.Close()
	runCareless(t, server.URL, standInToken)
}

// standIn answers as the API's document says.
func standIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	refuse := func(status int, code, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "error": text, "code": code})
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, "method_not_allowed", "Use POST for this route")
		return
	}
	authorization := r.Header.Values("Authorization")
	if len(authorization) > 1 {
		refuse(http.StatusBadRequest, "invalid_request", "Send one Authorization header")
		return
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !bearer:
		w.Header().Set("WWW-Authenticate", `Bearer realm="mfa"`)
		refuse(http.StatusUnauthorized, "unauthorized", "Send an access token")
		return
	case token != standInToken:
		w.Header().Set("WWW-Authenticate", `Bearer realm="mfa", error="invalid_token"`)
		// Quotes, so that the clients that pick the text out by hand
		// are seen to do it right.
		refuse(http.StatusUnauthorized, "invalid_token", `The "Bearer" token is malformed`)
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != asJSON {
		refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		refuse(http.StatusRequestEntityTooLarge, "request_too_large", "Send at most 64 KiB")
		return
	}
	var request struct {
		MFAType *string `json:"mfaType"`
	}
	fields := map[string]json.RawMessage{}
	switch {
	case checkJSON(body) != nil || json.Unmarshal(body, &fields) != nil:
		refuse(http.StatusBadRequest, "invalid_request", "Send one JSON object")
	case fields["mfaType"] == nil || json.Unmarshal(fields["mfaType"], &request.MFAType) != nil:
		refuse(http.StatusBadRequest, "invalid_request", "mfaType must be a string")
	case *request.MFAType != "GOOGLE_AUTH":
		refuse(http.StatusBadRequest, "invalid_mfa_type", "Invalid MFA type specified")
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "data": standInData()})
	}
}

// standInData is large enough for net/http to send it in chunks, as the
// picture of a real QR code can be.
func standInData() map[string]any {
	noise := image.NewGray(image.Rect(0, 0, 64, 64))
	_, _ = rand.Read(noise.Pix)
	var picture bytes.Buffer
	_ = png.Encode(&picture, noise)

	codes := make([]string, 10)
	for i := range codes {
		codes[i] = rand.Text()[:10]
	}
	return map[string]any{
		"secret":      (rand.Text() + rand.Text())[:32],
		"qrCode":      "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.Bytes()),
		"backupCodes": codes,
	}
}

// checkJSON returns an error unless body is one JSON object in valid
// UTF-8 without duplicate keys.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) || !json.Valid(body) || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return errors.New("not a JSON object")
	}
	return checkKeys(json.NewDecoder(bytes.NewReader(body)))
}

// checkKeys reads one value and returns an error for a duplicate key.
func checkKeys(d *json.Decoder) error {
	opening, err := d.Token()
	if err != nil {
		return err
	}
	delim, nested := opening.(json.Delim)
	if !nested {
		return nil
	}
	keys := map[string]bool{}
	for d.More() {
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name := key.(string)
			if keys[name] {
				return errors.New("duplicate key")
			}
			keys[name] = true
		}
		if err := checkKeys(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
