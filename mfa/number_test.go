package mfa

import "testing"

func TestTheNumberOfALinkIsOneThatNoOtherLinkHas(t *testing.T) {
	var links []loginLink
	for n := leastNumber; n <= mostNumber; n++ {
		if n != 42 {
			links = append(links, loginLink{Number: n})
		}
	}
	if n, err := drawNumber(links); n != 42 || err != nil {
		t.Errorf("drew %d, %v", n, err)
	}
	for range 500 {
		if n, err := drawNumber(nil); n < leastNumber || n > mostNumber || err != nil {
			t.Fatalf("drew %d, %v", n, err)
		}
	}
}
