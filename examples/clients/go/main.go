// Command go begins the setup of an authenticator app and prints the
// answer. It needs the standard library only.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

type setupRequest struct {
	MFAType    string     `json:"mfaType"`
	Email      string     `json:"email,omitempty"`
	DeviceInfo deviceInfo `json:"deviceInfo"`
}

type deviceInfo struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type setupAnswer struct {
	Success bool       `json:"success"`
	Data    *setupData `json:"data,omitempty"`
	Error   string     `json:"error,omitempty"`
	Code    string     `json:"code,omitempty"`
}

type setupData struct {
	Secret      string    `json:"secret"`
	QRCode      string    `json:"qrCode"` // a PNG as a data URL
	BackupCodes []string  `json:"backupCodes"`
	OTPAuthURL  string    `json:"otpauthUrl,omitempty"`
	ExpiresAt   time.Time `json:"expiresAt,omitzero"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "MFA setup failed:", err)
		os.Exit(1)
	}
}

func run() error {
	baseURL := cmp.Or(os.Getenv("MFA_URL"), "http://localhost:8080")
	token := os.Getenv("MFA_TOKEN")
	if token == "" {
		return errors.New("MFA_TOKEN is not set: it holds your access token")
	}

	answer, err := setup(baseURL, token, setupRequest{
		MFAType:    "GOOGLE_AUTH",
		Email:      "user@example.com",
		DeviceInfo: deviceInfo{Name: "iPhone 12", Type: "mobile"},
	})
	if err != nil {
		return err
	}

	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false) // leaves the & of the otpauth URL readable
	out.SetIndent("", "  ")
	return out.Encode(answer)
}

// setup returns the server's answer, or an error that holds the server's
// reason for refusing.
func setup(baseURL, token string, request setupRequest) (*setupAnswer, error) {
	target, err := url.JoinPath(baseURL, "mfa", "setup")
	if err != nil {
		return nil, fmt.Errorf("reading MFA_URL: %w", err)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)

	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()

	var answer setupAnswer
	err = json.NewDecoder(resp.Body).Decode(&answer)
	switch {
	case resp.StatusCode != http.StatusOK && answer.Error != "":
		return nil, errors.New(answer.Error)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &answer, nil
}
