package letter

import (
	"fmt"
	"time"
)

// Time tells a time in UTC, to the minute.
func Time(t time.Time) string { return t.UTC().Format("15:04 UTC on 2 January 2006") }

// Duration tells a duration in its largest whole unit.
func Duration(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return count(int64(d/time.Hour), "hour")
	}
	if d >= time.Minute { // rounded down: never more than is true
		return count(int64(d/time.Minute), "minute")
	}
	return count(int64(d/time.Second), "second")
}

func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
