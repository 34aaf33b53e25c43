package caddymodule

import (
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// ReportStore logs and counts what an engine has found out about its store.
// It outlives configurations, as stores do.
func ReportStore(f store.Finding) {
	processMetrics.findings.WithLabelValues(string(f.Kind)).Inc()
	activeLimited.Named("store").Warn(f.Text, zap.String("reason", string(f.Kind)))
}
