package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// maxQueuedEvents is how many events may wait for their subscribers, who
// may be slow.
const maxQueuedEvents = 1024

// journal tells the audit log, the metrics and Caddy's events of what
// happened. It implements mfa.Journal.
type journal struct {
	audit   *zap.Logger
	limited *zap.Logger // for what is no event
	metrics *metrics
	events  *caddyevents.App // nil where the events app cannot be had
	ctx     caddy.Context
	queue   queue[mfa.Event]
}

// eventNames are the names of the events that Caddy's events app is told
// of.
var eventNames = map[mfa.EventKind]string{
	mfa.EventEnrolled: "mfa_enrolled",
	mfa.EventVerified: "mfa_verified",
	mfa.EventFailed:   "mfa_failed",
	mfa.EventLocked:   "mfa_locked",
	mfa.EventReset:    "mfa_reset",
}

// failures are the kinds of events that tell of something refused.
var failures = map[mfa.EventKind]bool{
	mfa.EventSetupFailed: true, mfa.EventFailed: true, mfa.EventLocked: true,
	mfa.EventClonedPasskey: true, mfa.EventRefreshReused: true, mfa.EventLinkDenied: true,
}

func newJournal(ctx caddy.Context, log, limited *zap.Logger, m *metrics) *journal {
	j := &journal{audit: log.Named("audit"), limited: limited, metrics: m, ctx: ctx}
	// Emit waits for the subscribers, so it stays out of the way of requests,
	// and of reloads: nobody waits for a subscriber that hangs.
	j.queue = queue[mfa.Event]{place: panics.Events, most: maxQueuedEvents, hand: j.emit}
	if app, err := ctx.App("events"); err == nil {
		j.events, _ = app.(*caddyevents.App)
	}
	return j
}

// Record implements mfa.Journal.
func (j *journal) Record(e mfa.Event) {
	fields := []zap.Field{
		zap.String("event", string(e.Kind)),
		zap.String("result", result(e.Kind)),
		zap.String("issuer", e.Issuer),
		zap.String("subject", e.Subject),
		zap.String("client_ip", e.Client.IP),
		zap.String("actor_kind", string(e.ActorKind)),
	}
	for _, optional := range []struct{ name, value string }{
		{"method", e.Method}, {"organization", e.Organization}, {"by", e.By}, {"reason", e.Reason},
	} {
		if optional.value != "" {
			fields = append(fields, zap.String(optional.name, optional.value))
		}
	}
	level := zap.InfoLevel
	if failures[e.Kind] {
		level = zap.WarnLevel
	}
	j.audit.Log(level, "security event", fields...)
	j.metrics.count(e)
	if eventNames[e.Kind] == "" || j.events == nil {
		return
	}
	if !j.queue.put(e) {
		j.limited.Error("event dropped: its subscribers do not keep up", zap.String("event", string(e.Kind)))
	}
}

func result(kind mfa.EventKind) string {
	if failures[kind] {
		return "failure"
	}
	return "success"
}

// emit tells the subscribers of e.
func (j *journal) emit(e mfa.Event) {
	j.events.Emit(j.ctx, eventNames[e.Kind], map[string]any{
		"issuer": e.Issuer, "subject": e.Subject, "method": e.Method,
		"actor_kind": string(e.ActorKind), "by": e.By, "reason": e.Reason, "client_ip": e.Client.IP,
		"time": time.Now().UTC().Format(time.RFC3339),
	})
}
