package api

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Envelopes of the answers. A client tells them apart by success.
type (
	dataAnswer struct {
		Success bool `json:"success"`
		Data    any  `json:"data"`
	}
	messageAnswer struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
	}
	errorAnswer struct {
		Success bool   `json:"success"`
		Error   string `json:"error"`
		Code    string `json:"code"`
		Hint    string `json:"hint,omitempty"`
	}
)

func writeData(w http.ResponseWriter, data any) error {
	return writeJSON(w, http.StatusOK, dataAnswer{Success: true, Data: data})
}

func writeMessage(w http.ResponseWriter, message string) error {
	return writeJSON(w, http.StatusOK, messageAnswer{Success: true, Message: message})
}

// writeJSON encodes first and writes then, so that an answer that cannot
// be encoded becomes an error and not half an answer.
func writeJSON(w http.ResponseWriter, status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	body = append(body, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
	return nil
}
