// Package loglimit bounds the log lines that strangers can cause: of each
// kind one a minute is written, the others are counted.
//
// It is for what happened to a request. The audit log of what people did is
// not limited: what is recorded there is bounded by what they may do.
package loglimit

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// Period is how often a line of one kind is written.
	Period = time.Minute

	// maxKinds bounds the memory: what comes beyond is one more kind.
	maxKinds = 64

	// flushInterval is how long a line that was left out may wait for its
	// turn after its minute.
	flushInterval = 10 * time.Second
)

// kindFields are the fields, of type text, that make lines with the same
// message different kinds. Their values must not be the client's own.
var kindFields = []string{"code", "reason"}

// leftOut is the field that tells how many lines of the kind were left out
// since the last one.
const leftOut = "left_out"

// Limiter counts the lines of the loggers that it has wrapped. It is safe for
// concurrent use.
type Limiter struct {
	now func() time.Time

	mu    sync.Mutex
	kinds map[string]*kind
}

// kind is the lines of one kind. The zero value has had none.
type kind struct {
	written time.Time // when the last line was
	leftOut int       // lines since
	last    line      // the last of these
}

type line struct {
	core   zapcore.Core
	entry  zapcore.Entry
	fields []zapcore.Field
}

// New makes a Limiter. Now is the clock; nil means time.Now.
func New(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, kinds: make(map[string]*kind)}
}

// Wrap returns log with its lines limited. A kind is a message, of one named
// logger, with the values that the fields "code" and "reason" have in the
// line itself. Loggers of one Limiter share its kinds.
func (l *Limiter) Wrap(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &limited{Core: core, limiter: l}
	}))
}

// Run writes what was left out when its minute is over, until ctx ends, and
// then at once.
func (l *Limiter) Run(ctx context.Context) {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.flush(true)
			return
		case <-ticker.C:
			l.Flush()
		}
	}
}

// Flush writes, for each kind whose minute is over, the last of the lines that
// were left out, with the number of the others.
func (l *Limiter) Flush() { l.flush(false) }

func (l *Limiter) flush(all bool) {
	var due []line
	l.mu.Lock()
	now := l.now()
	for name, k := range l.kinds {
		if !all && !k.due(now) {
			continue
		}
		if k.leftOut == 0 {
			delete(l.kinds, name)
			continue
		}
		due = append(due, k.take(k.last, k.leftOut-1, now))
	}
	l.mu.Unlock()
	slices.SortFunc(due, func(a, b line) int { return a.entry.Time.Compare(b.entry.Time) })
	for _, line := range due {
		line.write()
	}
}

// admit counts a line. It returns the line as it is to be written, unless it
// is left out.
func (l *Limiter) admit(line line) (_ line, ok bool) {
	name := line.kind()
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[name]
	if k == nil && len(l.kinds) >= maxKinds {
		name = "" // no line's kind
		k = l.kinds[name]
	}
	if k == nil {
		k = new(kind)
		l.kinds[name] = k
	}
	now := l.now()
	if !k.due(now) {
		k.leftOut++
		k.last = line
		return line, false
	}
	return k.take(line, k.leftOut, now), true
}

// due reports whether a line may be written. A clock that was set back is no
// reason to wait.
func (k *kind) due(now time.Time) bool {
	since := now.Sub(k.written)
	return k.written.IsZero() || since < 0 || since >= Period
}

// take begins the next minute with a line, to which the number of those that
// were left out is added.
func (k *kind) take(l line, others int, now time.Time) line {
	*k = kind{written: now}
	if others > 0 {
		l.fields = append(slices.Clip(l.fields), zap.Int(leftOut, others))
	}
	return l
}

// kind names the kind of a line.
func (l line) kind() string {
	var b strings.Builder
	b.WriteString(l.entry.LoggerName)
	b.WriteByte('\n')
	b.WriteString(l.entry.Message)
	for _, field := range l.fields {
		if field.Type == zapcore.StringType && slices.Contains(kindFields, field.Key) {
			b.WriteByte('\n')
			b.WriteString(field.String)
		}
	}
	return b.String()
}

// write hands the line to the core that it was for.
func (l line) write() {
	if checked := l.core.Check(l.entry, nil); checked != nil {
		checked.Write(l.fields...)
	}
}

// limited is a core whose lines are limited.
type limited struct {
	zapcore.Core
	limiter *Limiter
}

func (c *limited) With(fields []zapcore.Field) zapcore.Core {
	return &limited{Core: c.Core.With(fields), limiter: c.limiter}
}

// Check leaves it to Write to ask the core, which may refuse a line by more
// than its level.
func (c *limited) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

func (c *limited) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if line, ok := c.limiter.admit(line{core: c.Core, entry: entry, fields: fields}); ok {
		line.write()
	}
	return nil
}
