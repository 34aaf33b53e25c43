package store

import (
	"context"
	"errors"
	"time"
)

// Timed is implemented by engines that have a clock of their own, which all
// processes over the store can be set by.
type Timed interface {
	Store

	// Time returns what the engine's clock showed at some moment of the call,
	// and how far that may be off because the clock tells it roughly.
	//
	// ErrNoTime is returned when the engine is reached but tells no time,
	// ErrUnavailable when it cannot be asked.
	Time(ctx context.Context) (at time.Time, within time.Duration, err error)
}

// ErrNoTime is returned when an engine does not tell what time it is.
var ErrNoTime = errors.New("the store tells no time")
