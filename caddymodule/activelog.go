package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddymfa/caddy-mfa/mfa"
)

// activeLog logs as the configuration in force says, and activeLimited bounds
// the lines that strangers can cause. They are for what outlives a
// configuration: the logs of that one are closed with it.
var (
	activeLog     = zap.New(activeCore{}).Named("mfa")
	activeLimited = zap.New(activeCore{limited: true}).Named("mfa")
)

// activeCore is the zapcore.Core of activeLog and activeLimited.
type activeCore struct {
	limited bool
	fields  []zap.Field
}

// current is where an entry goes now: before there is a configuration in
// force, to Caddy's own log.
func (c activeCore) current() zapcore.Core {
	app := activeApp()
	switch {
	case app == nil:
		return caddy.Log().Core()
	case c.limited:
		return app.limited.Core()
	}
	return app.log.Core()
}

// Enabled implements zapcore.Core.
func (c activeCore) Enabled(level zapcore.Level) bool { return c.current().Enabled(level) }

// With implements zapcore.Core.
func (c activeCore) With(fields []zap.Field) zapcore.Core {
	return activeCore{c.limited, append(slices.Clip(c.fields), fields...)}
}

// Check implements zapcore.Core.
func (c activeCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c activeCore) Write(entry zapcore.Entry, fields []zap.Field) error {
	if checked := c.current().Check(entry, nil); checked != nil {
		checked.Write(append(slices.Clip(c.fields), fields...)...)
	}
	return nil
}

// Sync implements zapcore.Core.
func (c activeCore) Sync() error { return c.current().Sync() }

// activeJournal records as the configuration in force does.
type activeJournal struct{}

// Record implements mfa.Journal.
func (activeJournal) Record(e mfa.Event) {
	if app := activeApp(); app != nil {
		if running := app.serving(); running != nil {
			running.journal.Record(e)
			return
		}
	}
	(&journal{audit: activeLog.Named("audit"), limited: activeLimited, metrics: processMetrics}).Record(e)
}
