package turns

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestOneAtATimeHasTheTurnOfAKey(t *testing.T) {
	var turns Turns
	counts := map[string]*int{"a": new(int), "b": new(int)}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			keys := [][]string{{"a"}, {"b"}, {"a", "b"}}[i%3]
			release, err := turns.Take(context.Background(), keys)
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			for _, key := range keys {
				*counts[key]++ // the race detector looks on
			}
		})
	}
	wg.Wait()
	if *counts["a"] != 200 || *counts["b"] != 200 {
		t.Errorf("counted %d and %d", *counts["a"], *counts["b"])
	}
	if len(turns.keys) != 0 {
		t.Errorf("%d keys are left", len(turns.keys))
	}
}

func TestWhoNoLongerWaitsLeavesNothingBehind(t *testing.T) {
	var turns Turns
	release, err := turns.Take(context.Background(), []string{"b"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := turns.Take(ctx, []string{"a", "b", "c"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	again, err := turns.Take(context.Background(), []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	again()
	if len(turns.keys) != 0 {
		t.Errorf("%d keys are left", len(turns.keys))
	}
}
