package panics

import (
	"fmt"
	"log"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/legible"
)

// logInterval is the least time between two log lines of one place: whoever
// finds a request that panics must not fill the disk with it.
const logInterval = time.Minute

// Bounds of a log line, in bytes.
const (
	maxText  = 500
	maxStack = 16 << 10
)

// reporter counts and logs panics.
type reporter struct {
	now func() time.Time

	mu     sync.Mutex
	places map[Place]*account
	log    func() *zap.Logger // nil: the standard logger
}

// account is what is known of the panics of one place.
type account struct {
	count      uint64
	suppressed uint64 // since the last log line
	logged     time.Time
}

// reported has the panics of the process. They outlive a configuration, as
// stores and fetches do.
var reported = reporter{now: time.Now}

// LogTo sets which logger panics are logged to. It is asked for at each, so
// that it may change. Without one, the standard library's gets them.
func LogTo(logger func() *zap.Logger) {
	reported.mu.Lock()
	defer reported.mu.Unlock()
	reported.log = logger
}

// Count returns how many panics of a place have been recovered since the
// process began.
func Count(place Place) uint64 {
	reported.mu.Lock()
	defer reported.mu.Unlock()
	if a := reported.places[place]; a != nil {
		return a.count
	}
	return 0
}

func report(place Place, value any) { reported.report(place, value) }

// report counts a panic and logs it, unless one of its place was logged just
// before.
func (r *reporter) report(place Place, value any) {
	logger, suppressed, due := r.count(place)
	if !due {
		return
	}
	text, stack := describe(value), string(cut(string(debug.Stack()), maxStack))
	if logger == nil {
		log.Printf("caddy-mfa: recovered from a panic at %s: %s\n%s", place, text, stack)
		return
	}
	logger().Error("recovered from a panic: this is a bug, please report it",
		zap.String("place", string(place)), zap.String("panic", text),
		zap.Uint64("left_out", suppressed), zap.String("stack", stack))
}

// count counts a panic, and says whether it is to be logged, and with how
// many that were not.
func (r *reporter) count(place Place) (logger func() *zap.Logger, suppressed uint64, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.places == nil {
		r.places = make(map[Place]*account)
	}
	a := r.places[place]
	if a == nil {
		a = new(account)
		r.places[place] = a
	}
	a.count++
	now := r.now()
	if since := now.Sub(a.logged); !a.logged.IsZero() && 0 <= since && since < logInterval {
		a.suppressed++
		return nil, 0, false
	}
	suppressed, a.suppressed, a.logged = a.suppressed, 0, now
	return r.log, suppressed, true
}

// describe says what a panic said. Its own String or Error method may panic,
// too.
func describe(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T that cannot be printed", value)
		}
	}()
	return cut(legible.Text(cut(fmt.Sprint(value), maxText)), maxText)
}

// cut shortens a text to at most n bytes, and never within a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
