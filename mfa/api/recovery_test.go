package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func TestAPanicBeforeTheAnswerIsAnErrorAndOneInItAbortsTheConnection(t *testing.T) {
	err := recovered(httptest.NewRecorder(), func(http.ResponseWriter) error { panic("on purpose") })
	if !errors.Is(err, panics.ErrPanicked) {
		t.Errorf("error is %v", err)
	}
	defer func() {
		if r := recover(); r != http.ErrAbortHandler {
			t.Errorf("half an answer was followed by %v", r)
		}
	}()
	_ = recovered(httptest.NewRecorder(), func(w http.ResponseWriter) error {
		_, _ = w.Write([]byte(`{"success":tr`))
		panic("on purpose")
	})
	t.Error("half an answer was left as it is")
}
